"""Checks that a model wrote: the usable ones are taken, each other one is named with what to change."""

import json
from typing import Any

import pytest

from contracts.acceptance import MAX_CHECK_BYTES, AcceptanceCheck, AcceptanceRequest, JsonExpectation
from contracts.acceptance_reading import MAX_FAULTS, read_checks
from contracts.criteria import Criterion

CRITERIA = [Criterion(id="c1", sentence="Books can be added")]
CREATE = {
    "kind": "http",
    "method": "POST",
    "path": "/books",
    "json": {"title": "Dune {unique}"},
    "expect": {"status": 201, "json": [{"path": "id", "type": "integer"}]},
    "save": {"id": "id"},
}
READ = {"kind": "http", "path": "/books/{id}", "expect": {"status": "2xx", "contains": ["Dune {unique}"]}}


def check(*steps: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "id": "k1",
        "criterion_id": "c1",
        "title": "A book is kept",
        "steps": list(steps or (CREATE, READ)),
    } | changed


def codes(*checks: object) -> list[str]:
    return [fault.code for fault in read_checks(json.dumps(list(checks)), CRITERIA).faults]


def test_a_good_check_is_taken_from_a_list_an_object_or_a_code_fence() -> None:
    texts = [
        json.dumps([check()]),
        json.dumps({"checks": [check()]}),
        f"Here:\n```json\n{json.dumps([check()])}\n```\n",
    ]
    assert [[one.id for one in read_checks(text, CRITERIA).checks] for text in texts] == [["k1"]] * 3


def test_a_check_means_the_same_after_it_was_written_and_read() -> None:
    expectation = {"path": "items[0].done", "equals": False}
    first = AcceptanceCheck.model_validate(check({**CREATE, "expect": {"json": [expectation]}}))
    assert AcceptanceCheck.model_validate_json(first.model_dump_json()) == first
    assert AcceptanceCheck.model_validate(first.model_dump(mode="json")) == first
    assert json.loads(first.model_dump_json())["steps"][0]["json"] == CREATE["json"]


def test_one_unusable_check_does_not_spoil_the_others() -> None:
    read = read_checks(json.dumps([check(), check(id="k2", steps=[])]), CRITERIA)
    assert [one.id for one in read.checks] == ["k1"]
    assert [(fault.code, fault.check) for fault in read.faults] == [("EMPTY", "k2")]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (check(READ), "UNKNOWN_VARIABLE"),
        (check({"kind": "http", "path": "/books"}), "NOTHING_EXPECTED"),
        (check({**READ, "path": "books"}), "WRONG_FORM"),
        (check({"path": "/books"}), "MISSING_KIND"),
        (check({"kind": "shell", "run": "ls"}), "UNKNOWN_KIND"),
        (check({**CREATE, "code": "import os"}), "UNKNOWN_FIELD"),
        (check({**CREATE, "form": {"a": "b"}}), "SEVERAL_BODIES"),
        (check({**CREATE, "method": "FETCH"}), "UNKNOWN_VALUE"),
        (check({**CREATE, "expect": {"json": [{"path": "id"}]}}), "NOTHING_EXPECTED"),
        (check({"kind": "bot", "send": "/start", "press": "Yes"}), "ONE_ACTION"),
        (check({"kind": "page", "path": "/", "actions": [{"do": "fill", "target": "Title"}]}), "WRONG_VALUE"),
        (check({"kind": "page", "path": "/", "within_s": 900}), "OUT_OF_RANGE"),
        (check({**CREATE, "headers": {"X": "a\r\nHost: b"}}), "WRONG_FORM"),
        (check(criterion_id="c9"), "UNKNOWN_CRITERION"),
        (check(*[{**CREATE, "json": "x" * 3_000}] * 6), "TOO_LARGE"),
        ("no object", "WRONG_TYPE"),
    ],
)
def test_what_is_wrong_has_a_code(wrong: object, code: str) -> None:
    assert code in codes(wrong)


def test_a_second_check_of_the_same_id_is_refused() -> None:
    assert codes(check(), check()) == ["DUPLICATE_ID"]


@pytest.mark.parametrize("text", ["", "no JSON", "[" * 50_000, '"text"', "```json\n[\n```", "x" * 400_000])
def test_what_is_no_list_of_checks_is_told_and_not_raised(text: str) -> None:
    read = read_checks(text, CRITERIA)
    assert (read.checks, len(read.faults)) == ([], 1)


def test_faults_are_bounded_and_repeat_no_value() -> None:
    wrong = [check({**CREATE, "method": "SECRET-VALUE"}, id=f"k{number}") for number in range(200)]
    read = read_checks(json.dumps(wrong), CRITERIA)
    assert len(read.faults) == MAX_FAULTS
    assert "SECRET-VALUE" not in read.told


def test_a_request_for_a_criterion_that_is_not_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not asked for"):
        AcceptanceRequest(
            task_id="t",
            project_id="p",
            repository="u1/books",
            commit="0" * 40,
            criteria=[],
            checks=[AcceptanceCheck.model_validate(check())],
        )


def test_an_expected_value_is_any_json_but_bounded_in_depth() -> None:
    assert JsonExpectation(path="a", equals={"b": [1, None]}).equals == {"b": [1, None]}
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="no JSON value"):
        JsonExpectation(path="a", equals=deep)
    assert MAX_CHECK_BYTES < 64_000
