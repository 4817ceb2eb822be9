"""What an ended task leaves behind is what a retry takes over."""

import pytest

from contracts import ids
from contracts.retries import WorkDone, facts_of, work_done

COMMIT, BASE = "a" * 40, "b" * 40


@pytest.mark.parametrize(("tested", "verified"), [(False, False), (True, False), (True, True)])
def test_facts_come_back_as_they_were_left(tested: bool, verified: bool) -> None:
    done = WorkDone(
        task_id="eng-1", branch="task/eng-1", base_commit=BASE, commit=COMMIT, tested=tested, verified=verified
    )
    assert work_done("eng-1", facts_of(done), []) == done


def test_a_completed_task_has_published_its_commit() -> None:
    found = work_done("eng-1", {"commit_sha": COMMIT, "branch": "task/eng-1", "summary": "Notes."}, [])
    assert found == WorkDone(
        task_id="eng-1",
        branch="task/eng-1",
        commit=COMMIT,
        tested=True,
        verified=True,
        published=True,
        summary="Notes.",
    )


@pytest.mark.parametrize("result", [{}, {"deployed_url": "http://x"}, {"commit_sha": COMMIT}])
def test_of_other_tasks_nothing_is_left(result: dict[str, str | int | None]) -> None:
    assert work_done("dep-1", result, []) is None


def test_a_retry_has_one_id_and_its_steps_have_names_of_their_own() -> None:
    first = ids.retry_task_id("dlv-1f9a2b3c4d5e")
    assert first == ids.retry_task_id("dlv-1f9a2b3c4d5e")
    assert first.startswith("dlv-")
    assert first != ids.retry_task_id(first)
    assert ids.kind_of_task(first) is ids.kind_of_task("dlv-1")
