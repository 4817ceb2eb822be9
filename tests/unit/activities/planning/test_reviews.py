"""What a model writes as a review is read like the words of a stranger."""

import json
from typing import Any

import pytest

from activities.review import after
from contracts.reviews import MAX_FINDINGS, Review, ReviewFinding, Severity, read_review

COMMIT = "a" * 40


@pytest.mark.parametrize("document", ["", "approve", "[]", "7", "null", "{}", '{"findings": {}}', "[" * 100_000])
def test_what_is_no_review_is_unreadable_and_never_an_approval(document: str) -> None:
    assert not read_review(document).is_readable


def test_an_unknown_severity_is_a_blocker() -> None:
    found = read_review(
        json.dumps({"findings": [{"severity": "meh", "text": "a"}, {"severity": "Remark", "text": "b"}]})
    )
    assert [one.severity.value for one in found.findings] == ["blocker", "remark"]


def test_findings_are_bounded_and_a_blocker_is_not_drowned_by_remarks() -> None:
    many = [{"severity": "remark", "text": "x" * 9_000, "file": "f" * 900, "line": -3}] * 90
    found = read_review(json.dumps({"summary": "y" * 9_000, "findings": [*many, {"severity": "blocker", "text": "!"}]}))
    assert (len(found.findings), found.findings[0].text) == (MAX_FINDINGS, "!")
    assert max(len(one.text) for one in found.findings) == 500
    assert {one.line for one in found.findings} == {None}
    assert len(Review(commit=COMMIT, agent="codex", findings=found.findings).told(2_000)) <= 2_100


@pytest.mark.parametrize("line", ["7", 1.5, True, [], {}, 10**30])
def test_a_line_that_is_none_costs_no_finding(line: object) -> None:
    (found,) = read_review(json.dumps({"findings": [{"severity": "remark", "text": "a", "line": line}]})).findings
    assert found.text == "a"


def test_a_review_says_who_has_read_what_and_what_was_left_out() -> None:
    remark = ReviewFinding(severity=Severity.REMARK, text="The name is odd")
    blocker = ReviewFinding(severity=Severity.BLOCKER, text="It logs the password", file="app.py", line=3)
    review = Review(commit=COMMIT, agent="codex", findings=[remark, blocker], unread=2)
    assert review.told() == (
        "Read by codex: 1 objection, 1 remark.\n- blocker: app.py:3: It logs the password\n- remark: The name is odd\n"
        "Not read: 2 changed files."
    )
    assert Review(commit=COMMIT, agent="codex").told() == "Read by codex: 0 objections, 0 remarks."
    assert Review(commit=COMMIT, agent="codex", problem="it is away").told() == "Not reviewed: it is away"


def test_a_review_says_when_its_reader_has_written_the_change() -> None:
    assert (
        Review(commit=COMMIT, agent="codex", is_authors=True).told().startswith("Read by codex, which also wrote it:")
    )


@pytest.mark.parametrize(
    ("state", "same"),
    [
        ({"judge": "codex"}, True),
        ({"judge": "codex", "agent": "claude-code"}, False),
        ({"judge": "claude-code", "agent": "codex"}, True),
        ({"judge": "codex", "review_model": "another"}, False),
        ({}, False),
    ],
)
def test_whether_the_author_reads_its_own_change_is_known_after_a_failover_too(state: Any, same: bool) -> None:
    assert after(state, Review(commit=COMMIT, agent="codex"))["reviewed"]["is_authors"] is same
