"""Figures of tests: in words, in the result of a task, and in what a retry takes over."""

import pytest

from contracts.retries import WorkDone, facts_of, work_done
from contracts.suite_figures import SuiteFigures, figures_in

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (SuiteFigures(executed=42, lines_covered_permille=879), "42 tests, 87 % of lines covered"),
        (SuiteFigures(executed=1), "1 test"),
        (SuiteFigures(lines_covered_permille=999), "99 % of lines covered"),
        (SuiteFigures(executed=0, lines_covered_permille=0), "0 tests, 0 % of lines covered"),
        (SuiteFigures(), ""),
    ],
)
def test_they_are_told_as_far_as_they_are_known_and_come_back_from_a_result(figures: SuiteFigures, told: str) -> None:
    assert figures.told() == told
    assert figures_in({"summary": "Notes.", **figures.in_result()}) == figures


@pytest.mark.parametrize("value", [None, "42", -1, 10**12])
def test_what_is_no_figure_is_not_known(value: str | int | None) -> None:
    assert figures_in({"tests": value, "lines_covered_permille": value}) == SuiteFigures()


def test_a_retry_knows_the_figures_of_the_commit_that_is_done() -> None:
    done = WorkDone(task_id="eng-1", branch="b", commit=COMMIT, verified=True, tests=42, lines_covered_permille=879)
    assert work_done("eng-1", facts_of(done), []) == done
    assert done.figures == SuiteFigures(executed=42, lines_covered_permille=879)
    result: dict[str, str | int | None] = {"commit_sha": COMMIT, "branch": "b", "tests": 7}
    published = work_done("eng-1", result, [])
    assert published is not None
    assert published.figures == SuiteFigures(executed=7)
    before = work_done("eng-1", {"commit_sha": COMMIT, "branch": "b"}, [])
    assert before is not None
    assert before.figures is None
