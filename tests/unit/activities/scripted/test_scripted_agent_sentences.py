"""What the scripted agent understands, and what it asks about instead."""

import keyword
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.agents.scripted.reading.nouns import plural, singular
from activities.adapters.agents.scripted.reading.sentences import entity, understand
from activities.adapters.agents.scripted.reading.specification import wish_of
from activities.adapters.agents.scripted.reading.wish import (
    Command,
    Field,
    Task,
    WishError,
    directives,
    read_task,
    section,
)
from activities.adapters.agents.scripted.writing import commands, resources
from activities.adapters.agents.scripted.writing.workspace import Workspace

EMPTY = Workspace(Path("/nonexistent"))


def understood(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(one.path, [(field.name, field.type) for field in one.fields]) for one in understand(text).entities]


@pytest.mark.parametrize(
    ("sentence", "path", "fields"),
    [
        ("Make a notes service: title, text", "notes", [("title", "string"), ("text", "text")]),
        ("Сделай сервис заметок: title, text", "notes", [("title", "string"), ("text", "text")]),
        (
            "A library with books: title, author, year:int, read:bool",
            "books",
            [("title", "string"), ("author", "string"), ("year", "integer"), ("read", "boolean")],
        ),
        ("Библиотека с книгами: название, год", "books", [("title", "string"), ("year", "integer")]),
        ("Учёт тренировок: дата, вес (число)", "workouts", [("date", "date"), ("weight", "number")]),
        ("сервис заметок с полями заголовок и текст", "notes", [("title", "string"), ("text", "text")]),
        ("Сервис для бобров: имя", "bobrovs", [("name", "string")]),
        ("Track my expenses: amount, due date", "expenses", [("amount", "number"), ("due_date", "date")]),
        ("Notes with title and text", "notes", [("title", "string"), ("text", "text")]),
        (
            "A recipe app:\n- title\n- cooking time (int)\n",
            "recipes",
            [("title", "string"), ("cooking_time", "integer")],
        ),
        ("Track runs: km:float, when:datetime", "runs", [("km", "number"), ("when", "datetime")]),
        ("movies: title, dueDate:date", "movies", [("title", "string"), ("dueDate", "date")]),
    ],
)
def test_a_resource_is_understood(sentence: str, path: str, fields: list[tuple[str, str]]) -> None:
    assert understood(sentence) == [(path, fields)]


def test_several_resources_in_one_wish_are_all_understood() -> None:
    assert [path for path, _ in understood("Books: title; readers: name, email")] == ["books", "readers"]


@pytest.mark.parametrize(
    "field",
    ["password", "Password:string", "userPassword", "admin_passwd:text", "pwd", "pin:int", "PIN code", "password_hash",
     "пароль", "пароль админа", "пин-код", "пароль:строка"],
)  # fmt: skip
def test_a_password_by_any_name_and_type_is_one(field: str) -> None:
    [users] = understand(f"Users: login, {field}").entities
    assert users.fields[1].type == "password"


def test_flags_and_marked_fields_may_be_left_out() -> None:
    [books] = understand("Books: title, read:bool, comment?, price (optional)").entities
    assert [field.required for field in books.fields] == [True, False, False, False]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("bot with a command /hello that answers Hi", [("hello", "Hi")]),
        ("бот с командой /hello, которая отвечает Привет", [("hello", "Привет")]),
        ('a bot: /hello answers "Hi; there. ok" and /bye says Bye!', [("hello", "Hi; there. ok"), ("bye", "Bye!")]),
        ("команда /time отвечает «Пора: 5 минут»", [("time", "Пора: 5 минут")]),
        ("A bot that answers /tide with 'high at noon'", [("tide", "high at noon")]),
        ("бот, который отвечает на команду /tide «в полдень»", [("tide", "в полдень")]),
    ],
)
def test_a_command_is_understood(sentence: str, expected: list[tuple[str, str]]) -> None:
    assert [(one.name, one.reply) for one in understand(sentence).commands] == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "make me something cool", "Make me something cool: fast", "flower shop", "A flower shop with roses and tulips",
        "Сделай что-нибудь крутое", "See http://example.com for details",
        "See http://example.com:8080/x for details", "", "Make a service: title",
        "Сделай склад: товары — название, цена", "Make a shop: goods - title, price",
        "Requirements: it must be quick to open and work offline", "GET /notes returns",
    ],
)  # fmt: skip
def test_a_vague_sentence_is_not_understood(sentence: str) -> None:
    assert understand(sentence).empty


@pytest.mark.parametrize(
    "fields",
    [
        "id, text", "class, text", "Class", "None", "title'); drop table notes --", "a" * 65, "__init__",
        "model_config", "title, Title", "price:gold", "text: Any = open('x')", "a.b", "{{x}}", "schema", "1st",
        "fields",
    ],
)  # fmt: skip
def test_a_hostile_field_is_asked_about(fields: str) -> None:
    with pytest.raises(WishError):
        understand(f"Make a notes service: {fields}")


@pytest.mark.parametrize("name", ["class", "import", "doc", "health", "page", "a/b", "..", "x" * 65, "é", "'"])
def test_a_hostile_noun_is_asked_about(name: str) -> None:
    with pytest.raises(WishError):
        entity(name, [Field("title")])


@given(name=st.text(min_size=1, max_size=70), field=st.text(min_size=1, max_size=70))
def test_any_text_gives_code_that_compiles_or_a_question(name: str, field: str) -> None:
    spec = {"data": [{"name": name, "fields": [{"name": field, "type": "string", "required": True}]}]}
    try:
        wish = wish_of(Task("", spec), [])
    except WishError:
        return
    for one in wish.entities:
        assert not keyword.iskeyword(one.singular)
        for path, content in resources.files(one, pages=True).items():
            compile(content, path, "exec")
            assert ".." not in path


@given(reply=st.text(min_size=1, max_size=300))
def test_any_reply_gives_a_handler_that_holds_exactly_it(reply: str) -> None:
    handler = commands.files(EMPTY, [Command("hello", reply)])["services/tg_bot/handlers/hello.py"]
    lines: dict[str, list[str]] = {}
    exec(handler[handler.index("LINES") : handler.index("\n]\n") + 3], lines)
    assert lines["LINES"] == reply.splitlines()


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("note", "notes"), ("category", "categories"), ("box", "boxes"), ("bus", "buses"), ("house", "houses"),
        ("course", "courses"), ("status", "statuses"), ("person", "people"), ("movie", "movies"), ("day", "days"),
        ("class", "classes"), ("news", "news"), ("address", "addresses"), ("tomato", "tomatoes"),
        ("expense", "expenses"),
    ],
)  # fmt: skip
def test_one_and_many(one: str, many: str) -> None:
    assert (plural(one), singular(many), singular(one)) == (many, one, one)


def test_the_specification_counts_before_the_sentence_and_names_the_route() -> None:
    task = read_task(
        """# Task
Make a notes service: title

```json
{"description": "Make a notes service: title", "unknown": 1,
 "data": [{"name": "Shopping items", "fields": [{"name": "title"},
   {"name": "done", "type": "boolean", "required": false}]}],
 "entry_points": [{"kind": "http", "routes": ["GET /shopping_items/{id}"]},
                  {"kind": "telegram", "commands": ["/hello - answers Hi", "bye"]}],
 "acceptance": [{"id": "c1", "sentence": "/bye answers See you"}, "an older spec's"],
 "secrets_required": ["API_KEY", "bad name"]}
```
"""
    )
    wish = wish_of(task, [])
    [items] = wish.entities
    assert (items.singular, items.path) == ("shopping_item", "shopping_items")
    assert items.fields == (Field("title"), Field("done", "boolean", False))
    assert [(one.name, one.reply) for one in wish.commands] == [("hello", "Hi"), ("bye", "See you")]
    assert wish.secrets == ["API_KEY"]


@pytest.mark.parametrize("text", ["", "```json\nnot json\n```", "```json\n[]\n```", '```json\n{"data": 1}\n```'])
def test_a_broken_specification_is_no_specification(text: str) -> None:
    assert wish_of(read_task(text), []).empty


def test_an_answer_counts_before_a_name_that_could_not_be_built() -> None:
    task = read_task("Make a notes service: class")
    [notes] = wish_of(task, ["Make a notes service: title"]).entities
    assert notes.fields == (Field("title"),)


def test_directives_and_sections_are_found_anywhere() -> None:
    assert directives("x [agent:slow=2.5] y\n[agent:fail]") == {"slow": ["2.5"], "fail": [""]}
    assert section("intro\n## Answer from the person\nyes\n\n## Evidence\nfailed", "Answer from the person") == "yes"
