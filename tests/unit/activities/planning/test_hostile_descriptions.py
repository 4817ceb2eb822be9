"""What a service says of its API comes from whom is judged: whatever it says, a judgement with a reason comes out."""

import json
from typing import Any

import pytest

from activities.adapters.planning.openapi import ApiDescription
from activities.adapters.planning.script_checks import UNUSABLE
from contracts.acceptance import HttpStep
from contracts.planning import MAX_API_DESCRIPTION, CheckWriting
from contracts.project_spec import ProjectSpec
from tests.unit.activities.planning import JUDGE
from tests.unit.activities.planning.test_script_checks import api, named, written

WISH = "books: title, year:int, seen:datetime"
_DEEP = 50_000
_VALUES: dict[str, Any] = {
    "null": None, "list": [], "text": "x", "number": 7, "true": True, "map of nothing": {"": None}, "listed": [[{}], 1]
}  # fmt: skip


def described(**changed: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(api("/books", {"title": {"type": "string"}}, ["title"]))
    return document | changed


def with_post(post: Any) -> str:
    return json.dumps(described(paths={"/books": {"post": post}}))


def of_title(schema: str) -> str:
    """A description whose `title` has this schema, which need not be JSON."""
    return api("/books", {"title": "HERE", "year": {}}, ["title"]).replace('"HERE"', schema)


NO_DESCRIPTIONS = {
    "deep lists": "[" * _DEEP + "]" * _DEEP,
    "deep objects": '{"paths": ' + '{"a": ' * _DEEP + "1" + "}" * (_DEEP + 1),
    "deep enough to be read and not to be written": of_title('{"default": ' + "[" * 900 + "]" * 900 + "}"),
    "no number": of_title('{"default": NaN}'),
    "no end": of_title('{"minimum": -Infinity}'),
    "too large a number": of_title('{"default": 1e999}'),
    "many digits": of_title('{"default": ' + "1" * 5_000 + "}"),
    "half a character": of_title('{"default": "\\ud800"}'),
    "not JSON": "{" * 50,
    "a list": "[]",
}


@pytest.mark.parametrize("text", NO_DESCRIPTIONS.values(), ids=NO_DESCRIPTIONS.keys())
async def test_what_cannot_be_a_description_is_none_and_the_criteria_say_so(text: str) -> None:
    assert ApiDescription.read(text) is None
    found = await written(WISH, text)
    assert found.checks == []
    assert all("does not describe its API" in why for why in found.not_checkable.values())
    assert found.not_checkable


def test_what_grows_as_it_is_written_anew_is_still_no_longer_than_what_is_read() -> None:
    numbers = ",".join(["1e15"] * 79_000)
    text = of_title(f'{{"x": [{numbers}]}}')
    assert len(text) < MAX_API_DESCRIPTION
    found = ApiDescription.read(text)
    told = "" if found is None else found.text()
    CheckWriting(judge=JUDGE, spec=ProjectSpec(name="a", description="b"), api_description=told)


@pytest.mark.parametrize("value", _VALUES.values(), ids=_VALUES.keys())
async def test_what_stands_where_something_else_belongs_counts_as_not_described(value: Any) -> None:
    operation = json.loads(api("/books", {}, []))["paths"]["/books"]["post"]
    texts = [
        json.dumps(described(paths={"/books": value, "/books/": {"post": operation}})),
        json.dumps(described(components=value)),
        with_post(value),
        with_post({"requestBody": value}),
        with_post({"requestBody": {"content": value}}),
        with_post({"requestBody": {"content": {"application/json": value}}}),
        with_post({"requestBody": {"content": {"application/json": {"schema": value}}}}),
        api("/books", {"title": value, "year": value, "seen": value}, ["title"]),
        *(
            api("/books", {one: {key: value} for one in ("title", "year", "seen", "other")}, ["title", "other"])
            for key in ("type", "format", "enum", "default", "minimum", "maximum", "anyOf", "oneOf", "$ref")
        ),
    ]
    for text in texts:
        found = await written(WISH, text)
        assert found.checks or found.not_checkable


async def test_references_in_a_circle_end() -> None:
    circle = {"$ref": "#/components/schemas/A"}
    document = described(components={"schemas": {"Input": circle, "A": {"$ref": "#/components/schemas/Input"}}})
    assert (await written(WISH, json.dumps(document))).checks
    itself = api("/books", {"title": {"anyOf": [{"$ref": "#/components/schemas/Input"}]}}, [])
    assert (await written(WISH, itself)).checks


async def test_a_type_may_be_one_of_several_and_a_choice_may_be_nothing() -> None:
    properties = {
        "title": {"type": ["null", "string"]},
        "year": {"type": ["integer", "null"], "maximum": 1999},
        "shelf": {"enum": [None, "left"]},
    }
    found = await written("books: title, year:int", api("/books", properties, ["title", "year", "shelf"]))
    (step,) = named(found, "field-book-year").steps
    assert isinstance(step, HttpStep)
    assert step.json_body == {"title": "Acceptance {unique}", "year": 1999, "shelf": "left"}


@pytest.mark.parametrize(
    ("properties", "required"),
    [
        ({"shelf": {"enum": ["{nobody}"]}}, ["shelf"]),
        ({"{nobody}": {}}, ["{nobody}"]),
        ({"shelf": {"enum": ["x" * 20_000]}}, ["shelf"]),
        ({}, [f"name{number}" for number in range(5_000)]),
    ],
    ids=["a variable", "the name of a variable", "a long value", "many names"],
)
async def test_of_what_cannot_be_sent_nothing_is_checked_and_the_criterion_says_why(
    properties: dict[str, Any], required: list[str]
) -> None:
    text = json.loads(api("/books", properties, required))
    text["paths"]["/shops"] = {"post": {}}
    found = await written("books: title. shops: name", json.dumps(text))
    assert list(found.not_checkable.values()) == [UNUSABLE]
    assert {check.id.split("-")[1] for check in found.checks} == {"shop"}


async def test_a_default_that_cannot_be_sent_is_none() -> None:
    (step, *_) = named(
        await written("books: title", api("/books", {"n": {"default": "{x}"}}, ["n"])), "thing-book"
    ).steps
    assert isinstance(step, HttpStep)
    assert step.json_body == {"title": "Acceptance {unique}", "n": "Acceptance {unique}"}


@pytest.mark.parametrize("path", ["/my shop/books", "books", "/" + "a" * 600 + "/books", "/a#/books", "/a\nb/books"])
async def test_a_path_that_cannot_be_asked_for_is_no_path(path: str) -> None:
    (step, *_) = named(await written("books: title", api(path, {}, [])), "thing-book").steps
    assert isinstance(step, HttpStep)
    assert step.path == "/books"
