"""Checks without a model: written from the wish and the API description, for what the script understands."""

import json
from typing import Any

import pytest

from activities.adapters.planning.openapi import ApiDescription
from activities.adapters.planning.script_checks import NO_CHECK, NO_DESCRIPTION, ScriptCheckWriter
from activities.adapters.planning.script_planner import ScriptPlanner
from contracts.acceptance import AcceptanceCheck, BotStep, HttpStep, PageStep
from contracts.planning import CheckWriting, PlanRequest, WrittenChecks
from contracts.project_spec import ProjectSpec
from tests.unit.activities.planning import FOLLOW, JUDGE


def api(path: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}}
    paths = {
        path: {"post": {"requestBody": body}, "get": {}},
        f"{path}/{{row_id}}": {"get": {}},
        "/health": {"get": {}},
    }
    return json.dumps({"openapi": "3.1.0", "paths": paths, "components": {"schemas": {"Input": schema}}})


BOOKS = api(
    "/books",
    {
        "title": {"type": "string"},
        "year": {"type": "integer", "maximum": 2100},
        "isbn": {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]},
        "password": {"type": "string"},
    },
    ["title", "year", "isbn"],
)


async def written(wish: str, description: str = BOOKS, **spec: object) -> WrittenChecks:
    plain = ProjectSpec.model_validate({"name": "books", "description": wish, **spec})
    plan = await ScriptPlanner().plan(PlanRequest(judge=JUDGE, spec=plain), FOLLOW)
    return await ScriptCheckWriter().write(
        CheckWriting(judge=JUDGE, spec=plan.spec, api_description=description), FOLLOW
    )


def named(found: WrittenChecks, name: str) -> AcceptanceCheck:
    return next(check for check in found.checks if check.id == name)


async def test_each_field_is_sent_and_must_come_back() -> None:
    found = await written("books: title, year:int")
    assert [check.id for check in found.checks] == ["thing-book", "field-book-title", "field-book-year"]
    (step,) = named(found, "field-book-year").steps
    assert isinstance(step, HttpStep)
    assert (step.method, step.path) == ("POST", "/books")
    assert step.json_body == {
        "title": "Acceptance {unique}", "year": 2100, "isbn": "7f1c1f0e-3f4e-4b43-9e9a-000000000001"
    }  # fmt: skip
    assert [(one.path, one.equals) for one in step.expect.json_values] == [("year", 2100)]


async def test_the_path_is_that_of_the_description_and_else_that_of_the_wish() -> None:
    for path in ("/api/v1/books", "/book"):
        (step, *_) = named(await written("books: title", api(path, {}, [])), "thing-book").steps
        assert isinstance(step, HttpStep)
        assert step.path == path
    (step, *_) = named(await written("books: title", api("/notes", {}, [])), "thing-book").steps
    assert isinstance(step, HttpStep)
    assert step.path == "/books", "a forgotten route is a miss, and no reason to check nothing"


async def test_a_password_comes_back_nowhere_and_the_denial_is_what_is_missed() -> None:
    found = await written("books: title, password. Never show the password")
    hidden = named(found, "hidden-book-password")
    assert hidden.criterion_id == "p2"
    for step in hidden.steps:
        assert isinstance(step, HttpStep)
        assert step.expect.lacks == ["secret-{unique}", '"password"']
    assert "field-book-password" not in {check.id for check in found.checks}


async def test_a_field_that_is_not_wanted_must_be_absent() -> None:
    found = await written("books: title, year:int. Don't store the year")
    (step,) = named(found, "absent-book-year").steps
    assert isinstance(step, HttpStep)
    assert step.expect.json_values[0].absent
    assert named(found, "absent-book-year").criterion_id == "p2"


async def test_a_command_must_answer_and_braces_name_no_variable() -> None:
    found = await written("a bot with /hello that answers “Hi {name}, welcome back”", modules=["tg_bot"])
    (step,) = named(found, "command-hello").steps
    assert isinstance(step, BotStep)
    assert (step.send, step.expect.contains) == ("/hello", [", welcome back"])


async def test_a_page_must_show_what_was_stored_and_is_photographed() -> None:
    found = await written("books: title", modules=["backend", "web"])
    stored, page = named(found, "page-book").steps
    assert isinstance(stored, HttpStep)
    assert isinstance(page, PageStep)
    assert (page.path, page.screenshot) == ("/", "books")
    assert page.expect.visible == ["Books", "Acceptance {unique}"]


async def test_a_change_is_checked_with_what_the_service_needs_besides() -> None:
    found = await written("Add stars:int to books")
    (step,) = named(found, "field-book-stars").steps
    assert isinstance(step, HttpStep)
    assert set(step.json_body) == {"stars", "title", "year", "isbn"}
    found = await written("Remove the field year from books")
    assert [check.id for check in found.checks] == ["absent-book-year"]


async def test_the_first_wish_of_a_project_needs_no_description() -> None:
    first = ProjectSpec.model_validate({"name": "books", "description": "books: title", "acceptance": ["books: title"]})
    writing = CheckWriting(judge=JUDGE, spec=first, is_first=True)
    found = await ScriptCheckWriter().write(writing, FOLLOW)
    (step, *_) = named(found, "thing-book").steps
    assert isinstance(step, HttpStep)
    assert step.path == "/books"
    later = writing.model_copy(update={"is_first": False})
    assert (await ScriptCheckWriter().write(later, FOLLOW)).needs_description


async def test_what_has_no_check_says_why() -> None:
    found = await written("books: title. Make it beautiful")
    assert found.not_checkable == {"p2": NO_CHECK}
    found = await written("books: title", description="")
    assert (found.checks, found.not_checkable) == ([], {"p1": NO_DESCRIPTION})
    found = await written("a bot with /hello that answers Hi")
    assert [check for check in found.checks if check.id.startswith("command")] == [], "there is no bot"


@pytest.mark.parametrize(
    "text",
    [
        "", "no json", "[]", "{}", '{"paths": []}', '{"paths": {"/books": 1}}',
        '{"paths": {"/books": {"post": {"requestBody": {"$ref": "#/a"}}}}, "a": {"$ref": "#/a"}}',
        '{"paths": {"/books": {"post": {"requestBody": {"content": {"application/json": {"schema": 1}}}}}}}',
    ],
)  # fmt: skip
async def test_a_description_is_anything_a_service_sends(text: str) -> None:
    await written("books: title", text)
    described = ApiDescription.read(text)
    if described is not None and (collection := described.collection({"books"})):
        assert collection.required == frozenset()


def test_the_same_api_is_the_same_text_whatever_the_release() -> None:
    first, second = (ApiDescription.read(json.dumps({"info": {"version": v}, "paths": {"/": {}}})) for v in ("1", "2"))
    assert first is not None
    assert second is not None
    assert first.text() == second.text() == '{"paths":{"/":{}}}'
