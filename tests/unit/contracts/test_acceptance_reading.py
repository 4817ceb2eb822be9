"""Checks that a model wrote: the usable ones are taken, each other one is named with what to change."""

import json
from typing import Any

import pytest

from contracts.acceptance import (
    MAX_CHECK_BYTES,
    MAX_CHECKS_BYTES,
    AcceptanceCheck,
    AcceptanceRequest,
    JsonExpectation,
    size_of,
)
from contracts.acceptance_reading import MAX_FAULTS, read_checks
from contracts.base import utc_now
from contracts.criteria import Criterion
from contracts.planning import KeptCheck, WrittenChecks, within_reach

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


def _cyrillic(number: int) -> dict[str, Any]:
    """A check of about 6 KB as UTF-8, and 18 KB with its letters escaped."""
    return check({**CREATE, "json": "ж" * 2_900}, id=f"k{number}")


def test_what_is_read_can_be_sent_whatever_its_letters() -> None:
    read = read_checks(json.dumps([_cyrillic(number) for number in range(40)], ensure_ascii=False), CRITERIA)
    assert len(read.checks) > 10
    assert read.faults[0].code == "TOO_LARGE"
    assert WrittenChecks(checks=read.checks).checks == read.checks
    assert size_of(read.checks) <= MAX_CHECKS_BYTES
    kept = [KeptCheck(check=one, criterion=CRITERIA[0], task_id="t", kept_at=utc_now()) for one in read.checks]
    assert len(within_reach([], kept, [])) == len(kept)


def test_checks_of_letters_that_are_half_a_character_are_told_and_not_raised() -> None:
    assert codes(check({**CREATE, "json": {"title": "\ud800"}})) == ["NOT_JSON"]


def test_an_id_that_is_too_long_is_refused_with_how_long_it_may_be() -> None:
    ids = ["k" * 91, "k" * 92]
    read = read_checks(json.dumps([check(id=one) for one in ids]), CRITERIA, longest_id=91)
    assert [one.id for one in read.checks] == ids[:1]
    assert "TOO_LONG" in read.told
    assert "the id has 92 characters, at most 91 fit" in read.told


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
