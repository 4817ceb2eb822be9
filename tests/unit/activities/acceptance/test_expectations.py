"""What a check expects and what is seen, compared without a service."""

import json
from typing import Any

import pytest

from activities.adapters.acceptance.runner.expectations import Answer, misses_of_answer
from activities.adapters.acceptance.runner.http_client import request_of
from activities.adapters.acceptance.runner.values import MISSING, Unusable, at, filled, holds, same
from contracts.acceptance import HttpStep

BOOK = {"id": 7, "title": "Dune", "tags": ["a", "b"], "author": {"name": "Herbert"}, "read": True, "note": None}
BODY = {"books": [BOOK, {"id": 8, "title": "Emma"}]}


def misses(expect: dict[str, Any], body: Any = None, status: int = 200, **variables: Any) -> list[str]:
    step = HttpStep.model_validate({"path": "/", "expect": expect}).model_dump(mode="json")
    content = body if isinstance(body, bytes) else json.dumps(BODY if body is None else body).encode()
    answer = Answer(status, [("Content-Type", "application/json")], content)
    return [miss.key for miss in misses_of_answer(answer, step["expect"], variables)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", BODY),
        ("books[0].title", "Dune"),
        ("books[-1].id", 8),
        ("books[*].title", ["Dune", "Emma"]),
        ("books[*].read", [True]),
        ("books[0].author.name", "Herbert"),
        ("books[0].note", None),
        ("books[2]", MISSING),
        ("books.title", MISSING),
        ("books[0].tags[*].x", []),
        ("[0]", MISSING),
    ],
)
def test_a_path_leads_to_its_value_or_to_nothing(path: str, value: object) -> None:
    assert at(BODY, path) is value if value is MISSING else at(BODY, path) == value


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ({"path": "books[0].id", "equals": 7, "type": "integer"}, []),
        ({"path": "books[0].id", "equals": "7"}, ["equals"]),
        ({"path": "books[0].read", "equals": 1}, ["equals"]),
        ({"path": "books[0].read", "equals": False}, ["equals"]),
        ({"path": "books[0].note", "is_null": True}, []),
        ({"path": "books[0].title", "is_null": True}, ["is_null"]),
        ({"path": "books", "contains": {"title": "Emma"}}, []),
        ({"path": "books", "contains": {"title": "Emma", "id": 9}}, ["contains"]),
        ({"path": "books[0]", "contains": "title"}, []),
        ({"path": "books[0]", "lacks": "password"}, []),
        ({"path": "books[0]", "lacks": "title"}, ["lacks"]),
        ({"path": "books[0].title", "contains": "un", "min_length": 4}, []),
        ({"path": "books", "length": 1}, ["length"]),
        ({"path": "books[0].id", "length": 1}, ["length"]),
        ({"path": "books[0].password", "absent": True}, []),
        ({"path": "books[*].password", "absent": True}, []),
        ({"path": "books[*].note", "absent": True}, ["absent"]),
        ({"path": "books[0].year", "equals": 1965}, ["missing"]),
        ({"path": "books[0].id", "type": "number"}, []),
        ({"path": "books[0].id", "type": "string"}, ["type"]),
    ],
)
def test_a_json_expectation_bites(expected: dict[str, Any], keys: list[str]) -> None:
    assert [key.rpartition(":")[2] for key in misses({"json": [expected]})] == keys


@pytest.mark.parametrize(
    ("expect", "status", "keys"),
    [
        ({"status": 201}, 200, ["status:201"]),
        ({"status": "4xx"}, 404, []),
        ({"status": "4xx"}, 500, ["status:4xx"]),
        ({"contains": ["Dune"]}, 500, ["status:error"]),
        ({"contains": ["Dune"], "lacks": ["Emma"]}, 200, ["lacks:Emma"]),
        ({"headers": {"content-type": "json"}}, 200, []),
        ({"headers": {"location": "/"}}, 303, ["header:location"]),
    ],
)
def test_an_answer_is_judged(expect: dict[str, Any], status: int, keys: list[str]) -> None:
    assert misses(expect, status=status) == keys


def test_what_is_no_json_misses_every_value() -> None:
    for body in (b"<html>", b"", b"[" * 100_000):
        assert misses({"json": [{"path": "a", "absent": True}]}, body) == ["json"]


def test_a_miss_has_the_same_name_in_every_run() -> None:
    """The values of a run are in its text only."""
    first = misses({"contains": ["n {unique}"]}, unique="1f")
    assert first == misses({"contains": ["n {unique}"]}, unique="2e") == ["contains:n {unique}"]


def test_a_variable_alone_keeps_its_kind() -> None:
    values = {"book": 7, "unique": "1f", "secret:TOKEN": "t"}
    assert filled({"id": "{book}", "is {unique}": ["{secret:TOKEN} {book}"]}, values) == {"id": 7, "is 1f": ["t 7"]}
    with pytest.raises(Unusable, match="OTHER"):
        filled("{secret:OTHER}", values)


def test_a_value_in_a_path_leads_to_no_other_route() -> None:
    step = HttpStep.model_validate({"path": "/books/{name}?q=ä"}).model_dump(mode="json")
    assert request_of(step, {"name": "../admin?x#y"})[1] == "/books/..%2Fadmin%3Fx%23y?q=%C3%A4"


def test_equal_means_equal_as_json() -> None:
    assert same(1, 1.0)
    assert not same(True, 1)
    assert not same(None, 0)
    assert same([{"a": None}], [{"a": None}])
    assert holds(["a", 1], 1)
    assert not holds([True], 1)
    assert not holds(None, "a")
