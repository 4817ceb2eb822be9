"""Tables on a terminal of eighty columns: what is copied stays whole."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from cli.terminal.output import Output
from cli.terminal.tables import age, chosen, show_questions, show_tasks
from contracts.nouns import TaskDTO
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, TaskKind, TaskState
from contracts.subjects import Subject

URL = "https://very-long-name-of-a-service.preview.example-company.com:18443/start?from=list"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:18000"])
def test_an_address_is_never_broken(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    project = str(uuid4())
    rows = [("notes", project, "active", "3h", url), ("books", str(uuid4()), "draft", "5s", None)]
    Output(as_json=False).table(("NAME", "ID", "STATUS", "AGE", "URL"), rows, empty="none", whole=2)
    shown = lines(capsys)
    for whole in (url, project):
        assert any(whole in line for line in shown), shown


def test_what_fits_is_a_table_and_no_line_is_wider_than_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("notes", "http://127.0.0.1:18000", "a sentence that is a good deal longer than what is left on the line")]
    Output(as_json=False).table(("NAME", "URL", "TEXT"), rows, empty="none")
    shown = lines(capsys)
    assert shown[0].split() == ["NAME", "URL", "TEXT"]
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize("column", range(1, 4))
def test_an_id_is_never_broken_in_whatever_column(column: int, capsys: pytest.CaptureFixture[str]) -> None:
    row = [
        "q-eng-28cffb269298-1",
        "a few words about it",
        "some more words",
        "and a long sentence that has to be folded",
    ]
    row[column] = "waits for question q-eng-28cffb269298-1"
    Output(as_json=False).table(("QUESTION", "NOTE", "TASK", "TEXT"), [row, row], empty="none")
    assert sum(line.count("q-eng-28cffb269298-1") for line in lines(capsys)) == 4


def task(project: str = "p-1") -> TaskDTO:
    return TaskDTO(
        id="eng-1f9a2b3c4d5e", kind=TaskKind.ENGINEERING, subject=Subject.project(project), user_id=1,
        workflow_id="engineering/eng-1f9a2b3c4d5e", state=TaskState.RUNNING, title="A service for notes",
        created_at=NOW - timedelta(days=3, hours=9), updated_at=NOW,
    )  # fmt: skip


def test_a_task_in_a_list_names_its_project_and_its_age(capsys: pytest.CaptureFixture[str]) -> None:
    show_tasks([task(), task("p-unknown")], Output(as_json=False), {"p-1": "notes"})
    shown = "\n".join(lines(capsys))
    assert "PROJECT" in shown
    assert "AGE" in shown
    assert {"notes", "p-unknown", "3d", "eng-1f9a2b3c4d5e"} <= set(shown.split())


def test_a_question_in_a_list_names_its_project_and_its_age(capsys: pytest.CaptureFixture[str]) -> None:
    asked = QuestionDTO(
        id="q-dep-1f9a2b3c4d5e-1", workflow_id="w", task_id="dep-1f9a2b3c4d5e", subject=Subject.project("p-1"),
        user_id=1, kind=QuestionKind.APPROVAL, text="Deploy?",
        created_at=NOW - timedelta(days=12, hours=9),
    )  # fmt: skip
    show_questions([asked], Output(as_json=False), {"p-1": "notes"})
    assert {"notes", "12d", "q-dep-1f9a2b3c4d5e-1", "dep-1f9a2b3c4d5e"} <= set("\n".join(lines(capsys)).split())


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (86_399, "23h"), (86_400 * 400, "400d")]
)
def test_an_age_is_said_in_its_largest_unit(seconds: int, shown: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("typed", "choices", "meant"),
    [
        ("1", ["approve", "stop"], "approve"),
        (" 2 ", ["approve", "stop"], "stop"),
        ("stop", ["approve", "stop"], "stop"),
        ("3", ["approve", "stop"], "3"),
        ("0", ["approve", "stop"], "0"),
        ("2", ["3", "2", "1"], "2"),
        ("4", [], "4"),
        ("9" * 5000, ["approve"], "9" * 5000),
        ("\N{SUPERSCRIPT TWO}", ["approve", "stop"], "\N{SUPERSCRIPT TWO}"),
    ],
)
def test_a_number_means_the_choice_in_its_place_unless_it_is_one(typed: str, choices: list[str], meant: str) -> None:
    assert chosen(typed, choices) == meant
