"""What the agent asks, in the language of the wish. Every question says that no model is behind it."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "ru"]

SELF = {
    "en": "I am a script, not a model: I understand only a few shapes of sentence.",
    "ru": "Я скрипт, а не модель: я понимаю только несколько видов фраз.",
}
ABILITIES = {
    "en": "I can build a resource from its fields ({resource}) and a bot command from its answer ({command}).",
    "ru": "Я могу сделать ресурс по списку полей ({resource}) и команду бота по её ответу ({command}).",
}
RESOURCE = {"en": "Make a notes service: title, text", "ru": "Сделай сервис заметок: title, text"}
COMMAND = {
    "en": "a bot with a command /hello that answers Hi",
    "ru": "бот с командой /hello, которая отвечает Привет",
}
UNCLEAR = {"en": "What should I build?", "ru": "Что мне сделать?"}
BAD_NAME = {
    "en": "I cannot build “{name}”: a name needs letters, digits or _, at most 40 of them, no word that Python "
    "or the service itself uses, and no repetition; a field that exists keeps its type; "
    "types are string, text, integer, number, boolean, date, "
    "datetime. What should I call it?",
    "ru": "Я не могу сделать «{name}»: в имени могут быть буквы, цифры и _, не больше 40, без слов, занятых Python "
    "или самим сервисом, и без повторов; тип готового поля не меняется; "
    "типы: string, text, integer, number, boolean, date, datetime. Как назвать?",
}
NO_MODULE = {
    "en": "This needs the module {module}, and the project does not have it. What should I build instead?",
    "ru": "Для этого нужен модуль {module}, а в проекте его нет. Что сделать вместо этого?",
}
TOLD_TO_ASK = {
    "en": "I was told to ask before I start. Should I continue?",
    "ru": "Мне велено спросить, прежде чем начать. Продолжать?",
}
CANNOT_REPAIR = {
    "en": "The checks fail, and I can repair only my own work, which is complete. What should I change?",
    "ru": "Проверки не проходят, а чинить я умею только свой код, и он на месте. Что изменить?",
}
YES_NO: dict[Language, list[str]] = {"en": ["yes", "no"], "ru": ["да", "нет"]}


@dataclass(frozen=True)
class Question:
    text: str
    choices: list[str]


def unclear(language: Language) -> Question:
    return _with_abilities(UNCLEAR[language], language)


def bad_name(language: Language, name: str) -> Question:
    return _with_abilities(BAD_NAME[language].format(name=name[:60]), language)


def no_module(language: Language, module: str) -> Question:
    return _with_abilities(NO_MODULE[language].format(module=module), language)


def cannot_repair(language: Language) -> Question:
    return _with_abilities(CANNOT_REPAIR[language], language)


def told_to_ask(language: Language) -> Question:
    return Question(f"{SELF[language]} {TOLD_TO_ASK[language]}", YES_NO[language])


def _with_abilities(asked: str, language: Language) -> Question:
    examples = [RESOURCE[language], COMMAND[language]]
    abilities = ABILITIES[language].format(resource=examples[0], command=examples[1])
    return Question(f"{SELF[language]} {abilities} {asked}", examples)
