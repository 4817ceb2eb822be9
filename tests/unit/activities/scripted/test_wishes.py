"""Every clause of a wish is built, asked about, or listed as not built. `wishes.toml` is from the README alone."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.agents.scripted.reading.nouns import TYPE_WORDS
from activities.adapters.agents.scripted.reading.sentences import field_name, understand
from activities.adapters.agents.scripted.reading.wish import Criterion, Wish, WishError
from contracts.modules_of_wish import modules_of


def written(name: str) -> list[dict[str, Any]]:
    wishes: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))["wish"]
    return wishes


WISHES, MORE = written("wishes.toml"), written("more_wishes.toml")
# A clause that nothing can be built from, and a word of it that is in no other clause.
ENGLISH = {
    "send me an e-mail each week": "e-mail", "nobody may delete anything": "nobody", "export it to PDF": "PDF",
    "don't track visitors": "visitors", "it counts the visits": "visits", "rename author to writer": "rename",
    "sends the weather every morning": "weather", "a page for each author": "page", "at most 5 a day": "most",
    "login with Google": "Google", "two languages": "languages",
}  # fmt: skip
RUSSIAN = {
    "присылай мне письмо каждую неделю": "письмо", "никто не может удалять": "никто", "выгрузка в PDF": "PDF",
    "не следи за людьми": "следи", "считает посещения": "посещения", "переименуй автора в писателя": "переименуй",
    "присылает погоду утром": "погоду", "страница для каждого автора": "страница", "с картинками": "картинками",
    "вход через Google": "Google", "два языка": "языка",
}  # fmt: skip
BUILT = {
    "Books: title, author, year:int": ENGLISH, "Notes with title and text": ENGLISH, "Add stars:int to books": ENGLISH,
    "A bot that answers /hello with Hi": ENGLISH, "a bot with a command /hello that answers Hi there": ENGLISH,
    "The bot says Good day on /hello": ENGLISH, "Remove the field year from books": ENGLISH,
    "Remove the command /hello": ENGLISH, "Remove the books": ENGLISH,
    "Книги: название, год:int": RUSSIAN, "Заметки с полями название и текст": RUSSIAN,
    "Бот на /hello отвечает Привет": RUSSIAN, "бот с командой /hello, которая отвечает Привет": RUSSIAN,
    "Добавь поле рейтинг:int к книгам": RUSSIAN, "Добавь в книги поле рейтинг:int": RUSSIAN,
    "Удали поле год из книг": RUSSIAN, "Удали команду /hello": RUSSIAN, "Удали книги": RUSSIAN,
}  # fmt: skip
JOINTS = (". ", "; ", ", and ", ", ", " and ", " but ", ", but ", " - ", "\n", " (", "! ", ", also ", " plus ")
RUSSIAN_JOINTS = {
    " and ": " и ", ", and ": ", и ", " but ": " но ", ", but ": ", но ", ", also ": ", а ещё ", " plus ": " плюс "
}  # fmt: skip


def plain(text: str) -> str:
    return re.sub(r"[\s.!?]+", " ", text).strip().casefold()


def criterion_of(wish: Wish, words: str) -> Criterion:
    """What stands for these words. A clause that vanished has none."""
    found = [one for one in wish.criteria if plain(words) in plain(one.words)]
    assert found, f"{words!r} has vanished; there is {[one.words for one in wish.criteria]}"
    return found[0]


def is_field(name: str, type_: str, expected: str) -> bool:
    wanted, _, kind = expected.partition(":")
    return name == field_name(wanted) and (not kind or type_ == TYPE_WORDS[kind])


def has_fields(wish: Wish, expected: list[str]) -> bool:
    return any(
        len(one.fields) == len(expected)
        and all(is_field(field.name, field.type, wanted) for field, wanted in zip(one.fields, expected, strict=True))
        for one in wish.entities
    )


def test_there_are_ten_wishes_in_each_language_with_three_clauses_or_more() -> None:
    assert [len([one for one in WISHES if one["language"] == language]) for language in ("en", "ru")] == [10, 10]
    assert all(len(one["clauses"]) >= 3 for one in WISHES)


@pytest.mark.parametrize("given", [*WISHES, *MORE], ids=[one["text"][:40] for one in [*WISHES, *MORE]])
def test_no_clause_vanishes_and_what_the_readme_promises_is_built(given: dict[str, Any]) -> None:
    if "asks" in given:
        with pytest.raises(WishError) as asked:
            understand(given["text"])
        assert asked.value.name == given["asks"]
        return
    wish = understand(given["text"])
    for clause in given["clauses"]:
        found = criterion_of(wish, clause["words"])
        promised = clause.keys() - {"words"}
        assert found.built or not promised, f"not built: {found}"
        if "fields" in clause:
            assert has_fields(wish, clause["fields"]), wish.entities
        for name, reply in clause.get("answers", {}).items():
            assert [one.reply for one in wish.commands if one.name == name] == [reply]
        for name in clause.get("hidden", []):
            assert [field.type for one in wish.entities for field in one.fields if field.name == field_name(name)] == [
                "password"
            ]
        if "module" in clause:
            assert clause["module"] in modules_of(given["text"])
    asked_for = sum(len(one["fields"]) for one in given["clauses"] if "fields" in one)
    assert sum(len(one.fields) for one in wish.entities) == asked_for, "nothing is built that nobody asked for"
    assert all(plain(one.words) in plain(given["text"]) and re.search(r"[^\W\d]", one.words) for one in wish.criteria)


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize("built", BUILT)
def test_a_clause_beside_one_that_is_built_is_no_part_of_it(built: str, joint: str) -> None:
    """However the two are joined: it stands under "Not built", or the agent asks."""
    said = RUSSIAN_JOINTS.get(joint, joint) if BUILT[built] is RUSSIAN else joint
    for clause, word in BUILT[built].items():
        texts = [f"{built}{said}{clause}{')' if '(' in joint else ''}.", f"{clause}{said}{built}."]
        for text in texts[: 1 if "(" in joint else 2]:
            _stands_under_not_built(text, word)


def _stands_under_not_built(text: str, word: str) -> None:
    try:
        wish = understand(text)
    except WishError:
        return
    if wish.empty:
        return
    done = [one.words for one in wish.criteria if one.built] + [one.words for one in wish.changes]
    assert not any(word in words for words in done), (text, done)
    assert any(word in one.words for one in wish.not_built), (text, wish.criteria)


@pytest.mark.parametrize(
    "denial",
    [
        "No two books may have the same title", "Don't save a book without a title", "No title without capitals",
        "Don't ask for the title twice", "Don't store books whose title is empty", "Never add a title in capitals",
        "No title is needed for old books", "I don't want the title to be long",
        "Нельзя сохранять книгу без названия", "Не храни название дольше года", "Не добавляй название заглавными",
    ],
)  # fmt: skip
def test_a_denial_that_says_more_than_a_field_leaves_the_field_where_it_is(denial: str) -> None:
    wish = understand(f"Books: title, author. {denial}")
    assert [one.name for one in wish.entities[0].fields] == ["title", "author"]
    assert [one.words for one in wish.not_built] == [denial]


@pytest.mark.parametrize(
    "denial", ["Don't store the year", "no year please", "We do not need any year", "Год не храни"]
)
def test_a_denial_of_a_field_leaves_it_out(denial: str) -> None:
    wish = understand(f"Books: title, year:int. {denial}")
    assert [one.name for one in wish.entities[0].fields] == ["title"]
    assert wish.not_built == []


@pytest.mark.parametrize(
    "asked",
    ["Make me a bot for my café", "Сделай мне бота для кафе", "Add a bot to my notes project", "I want a Telegram bot"],
)
def test_a_bot_that_has_its_commands_is_not_said_to_be_missing(asked: str) -> None:
    assert understand(f"{asked}. /menu answers Tea").not_built == []


@pytest.mark.parametrize(
    "asked",
    ["A quiz bot", "A bot for my shop that sells shoes", "Сделай бота для продажи", "A bot to sell shoes", "Not a bot"],
)
def test_what_a_bot_is_to_do_is_not_built_with_its_commands(asked: str) -> None:
    assert [one.words for one in understand(f"{asked}. /menu answers Tea").not_built] == [asked]


def test_a_condition_about_passwords_is_no_wish_to_hide_them() -> None:
    wish = understand("Users: login, password. Don't show users without a password.")
    assert [one.words for one in wish.not_built] == ["Don't show users without a password"]


@pytest.mark.parametrize(
    ("wish", "thing", "fields"),
    [
        ("A loan has due:date", "loan", ["due"]),
        ("Loans have due:date and member", "loan", ["due", "member"]),
        ("Each member has a name:text", "member", ["name"]),
        ("The price:float is optional", None, []),
    ],
)
def test_a_typed_field_behind_a_verb_is_no_thing(wish: str, thing: str | None, fields: list[str]) -> None:
    found = understand(f"A library with books: title. {wish}").entities[1:]
    assert [(one.singular, [field.name for field in one.fields]) for one in found] == (
        [(thing, fields)] if thing else []
    )
