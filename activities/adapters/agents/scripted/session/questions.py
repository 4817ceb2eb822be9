"""What the agent asks, in the language of the wish. Every question says that no model is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..reading.replies import AnswerDoubt, first_part

Language = Literal["en", "ru"]

SELF = {
    "en": "I am a script, not a model: I understand only a few shapes of sentence.",
    "ru": "Я скрипт, а не модель: я понимаю только несколько видов фраз.",
}
ABILITIES = {
    "en": "I can build a resource from its fields ({resource}) and a bot command from its answer ({command}), and "
    "add or remove fields, resources and commands.",
    "ru": "Я могу сделать ресурс по списку полей ({resource}) и команду бота по её ответу ({command}), а также "
    "добавить или удалить поле, ресурс или команду.",
}
RESOURCE = {"en": "Make a notes service: title, text", "ru": "Сделай сервис заметок: title, text"}
COMMAND = {
    "en": "a bot with a command /hello that answers Hi",
    "ru": "бот с командой /hello, которая отвечает Привет",
}
UNCLEAR = {"en": "What should I build?", "ru": "Что мне сделать?"}
NOT_UNDERSTOOD = {
    "en": "I did not understand “{words}”. What should I build? Name a thing and its fields; a list of fields "
    "alone completes these words.",
    "ru": "Я не понял «{words}». Что мне сделать? Назовите предмет и его поля; просто список полей дополнит эти слова.",
}
BAD_NAME = {
    "en": "I cannot build “{name}”: a name needs letters (a command of a bot: Latin ones), digits or _, at most 40 of "
    "them, no word that Python or the service itself uses, and no repetition; a field that exists keeps its type; "
    "types are string, text, integer, number, boolean, date, "
    "datetime. What should I call it?",
    "ru": "Я не могу сделать «{name}»: в имени могут быть буквы (у команды бота только латинские), цифры и _, "
    "не больше 40, без слов, занятых Python или самим сервисом, и без повторов; тип готового поля не меняется; "
    "типы: string, text, integer, number, boolean, date, datetime. Как назвать?",
}
WHERE_IT_ENDS = {
    "en": "“{words}”: where does the answer of /{name} end? I would list the rest under “Not built”. Say yes if it is "
    "all of it, or write the answer alone.",
    "ru": "«{words}»: где кончается ответ на /{name}? Остальное я назову в списке «Не сделано». Скажите «да», если это "
    "всё он, или напишите только ответ.",
}
NO_MODULE = {
    "en": "“{words}” needs the module {module}, and the project does not have it. Start a new task that says “a bot” "
    "or “web pages”, and it is added. What should I build now instead?",
    "ru": "Для «{words}» нужен модуль {module}, а в проекте его нет. Начните новую задачу со словами «бот» или "
    "«веб-страницы», и он добавится. Что сделать сейчас вместо этого?",
}
CANNOT_CHANGE = {
    "en": "I cannot change that: {reason} What should I do instead?",
    "ru": "Я не могу это изменить: {reason} Что сделать вместо этого?",
}
NOT_BUILT = {"en": "Not built", "ru": "Не сделано"}
TOLD_TO_ASK = {
    "en": "I was told to ask before I start. Should I continue?",
    "ru": "Мне велено спросить, прежде чем начать. Продолжать?",
}
CANNOT_REPAIR = {
    "en": "The checks fail, and I can repair only my own work, which is complete. What should I change?",
    "ru": "Проверки не проходят, а чинить я умею только свой код, и он на месте. Что изменить?",
}
YES_NO: dict[Language, list[str]] = {"en": ["yes", "no"], "ru": ["да", "нет"]}


MOST_WORDS, MOST_CHOICE = 200, 200


@dataclass(frozen=True)
class Question:
    """`unclear`: the words that it is about. An answer takes their place, or adds the fields if a colon ends them."""

    text: str
    choices: list[str]
    unclear: str = ""


def unclear(language: Language, words: str, modules: Sequence[str]) -> Question:
    if not words:
        return _with_abilities(UNCLEAR[language], language, modules)
    asked = NOT_UNDERSTOOD[language].format(words=words[:MOST_WORDS])
    return _with_abilities(asked, language, modules, f"{words}:")


def bad_name(language: Language, name: str, modules: Sequence[str]) -> Question:
    return _with_abilities(BAD_NAME[language].format(name=name[:60]), language, modules, name)


def where_it_ends(language: Language, doubt: AnswerDoubt) -> Question:
    """An answer without quotation marks may hold a clause that is none of it."""
    said = doubt.found.command
    first, rest = first_part(said.reply)
    asked = WHERE_IT_ENDS[language].format(words=doubt.name[:MOST_WORDS], name=said.name)
    verb, left, right = ("отвечает", "«", "»") if language == "ru" else ("answers", "“", "”")
    choices = [f"/{said.name} {verb} {left}{said.reply}{right}", f"/{said.name} {verb} {left}{first}{right}; {rest}"]
    fit = all(len(choice) <= MOST_CHOICE for choice in choices)
    return Question(f"{SELF[language]} {asked}", choices if fit else [], doubt.name)


def no_module(language: Language, module: str, words: str, modules: Sequence[str]) -> Question:
    asked = NO_MODULE[language].format(module=module, words=words[:MOST_WORDS])
    return _with_abilities(asked, language, modules)


def cannot_change(language: Language, reason: str, modules: Sequence[str]) -> Question:
    return _with_abilities(CANNOT_CHANGE[language].format(reason=reason), language, modules)


def cannot_repair(language: Language, modules: Sequence[str]) -> Question:
    return _with_abilities(CANNOT_REPAIR[language], language, modules)


def told_to_ask(language: Language) -> Question:
    return Question(f"{SELF[language]} {TOLD_TO_ASK[language]}", YES_NO[language])


def _with_abilities(asked: str, language: Language, modules: Sequence[str], unclear: str = "") -> Question:
    """`modules` are those of the project: what it cannot hold is not offered."""
    examples = {"backend": RESOURCE[language], "tg_bot": COMMAND[language]}
    abilities = ABILITIES[language].format(resource=RESOURCE[language], command=COMMAND[language])
    choices = [example for module, example in examples.items() if module in modules]
    return Question(f"{SELF[language]} {abilities} {asked}", choices, unclear)
