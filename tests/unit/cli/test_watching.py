"""How a task that has ended is shown."""

import pytest

from cli.client.watching import show_ending
from cli.terminal.output import Output
from contracts.base import utc_now
from contracts.names import LINK_OF, SCREENSHOT
from contracts.nouns import TaskDTO
from contracts.states import TaskKind, TaskState
from contracts.subjects import Subject
from contracts.suite_figures import SuiteFigures


def task(*criteria: dict[str, object], **known: object) -> TaskDTO:
    now = utc_now()
    base = {"id": "dlv-0123456789ab", "kind": TaskKind.DELIVERY, "subject": Subject.project("p"), "user_id": 5}
    state = {"workflow_id": "w", "state": TaskState.COMPLETED, "created_at": now, "updated_at": now}
    return TaskDTO.model_validate({**base, **state, "criteria": list(criteria), **known})


def test_what_was_not_built_is_listed_with_its_words_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    built = {"id": "w1", "sentence": "books has title.", "words": "Books: title"}
    left_out = {"id": "w2", "sentence": "It needs the module tg_bot.", "words": "/start answers Hi", "state": "not_met"}
    show_ending(task(built, left_out), Output(as_json=False))
    shown = capsys.readouterr().out
    assert "Not built:\n  /start answers Hi  (It needs the module tg_bot.)" in shown
    assert "Books: title" not in shown
    show_ending(task(built), Output(as_json=False))
    assert "Not built" not in capsys.readouterr().out


def test_what_was_checked_and_what_nobody_could_check_is_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    proof = {"reference": "GET /books", "text": "200, two books"}
    met = {"id": "p1", "sentence": "books has title.", "words": "Books: title", "state": "met", "proof": proof}
    unknown = {"id": "p2", "sentence": "fast", "words": "fast", "state": "not_checkable"}
    show_ending(task(met, unknown, result={f"{SCREENSHOT}1": "artifact://x"}), Output(as_json=False))
    shown = capsys.readouterr().out
    assert "Built:\n  Books: title  (200, two books)" in shown
    assert "Not checked:\n  fast  (fast)" in shown
    assert "orchestrator task screenshots dlv-0123456789ab" in shown


def test_every_fact_of_a_result_has_a_name_of_its_own_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    known = {
        "summary": "Add books.",
        "server_ip": "127.0.0.1",
        f"{LINK_OF}tg_bot": "https://t.me/a",
        "commit_sha": "abc",
    }
    show_ending(task(result=known), Output(as_json=False))
    shown = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == ["Commit", "Summary", "Server IP", "Link of tg_bot"]


def test_a_review_stands_on_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    said = "Read by codex: 1 objection, 0 remarks.\n- blocker: app.py:3: It logs the password"
    show_ending(task(result={"review": said, "commit_sha": "abc"}), Output(as_json=False))
    shown = capsys.readouterr().out
    assert "Review:\n  Read by codex: 1 objection, 0 remarks.\n  - blocker: app.py:3: It logs the password" in shown
    assert shown.count("Read by codex") == 1


def test_the_figures_of_the_tests_are_one_fact_and_none_where_nothing_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = SuiteFigures(executed=42, lines_covered_permille=879)
    show_ending(task(result={"commit_sha": "abc", **figures.in_result()}), Output(as_json=False))
    shown = capsys.readouterr().out
    assert "42 tests, 87 % of lines covered" in shown
    assert "permille" not in shown
    show_ending(task(result={"commit_sha": "abc"}), Output(as_json=False))
    assert "Tests" not in capsys.readouterr().out
