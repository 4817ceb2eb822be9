"""Advice on the screen can be run as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.terminal import advice
from cli.terminal.output import Output, write_error
from cli.terminal.tables import show_open_questions, show_question
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind
from contracts.subjects import Subject

NEXT = "Next: orchestrator task watch dlv-1"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This program, in a directory with a space in its name."""
    path = tmp_path / "my venv" / "bin" / "orchestrator"
    path.parent.mkdir(parents=True)
    path.write_text('#!/bin/sh\necho "$ORCHESTRATOR_HOME|$*"\n')
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("ORCHESTRATOR_HOME", "ORCHESTRATOR_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.mark.parametrize("home", ["/srv/a home", None])
def test_a_command_on_the_screen_runs_elsewhere(
    program: Path, home: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if home:
        monkeypatch.setenv("ORCHESTRATOR_HOME", home)
    Output(as_json=False).advise(NEXT)
    command = capsys.readouterr().out.partition("Next: ")[2]
    ran = subprocess.run(["/bin/sh", "-c", command], cwd="/", env={}, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"{home or ''}|task watch dlv-1"


def test_where_the_shell_finds_the_program_its_name_is_enough(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert advice.full_commands(NEXT) == NEXT
    other = program.parent.parent / "other"
    other.mkdir()
    (other / "orchestrator").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other))
    assert str(program) in advice.full_commands(NEXT)


def test_the_home_of_another_platform_is_not_named(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", "/srv/home")
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://elsewhere")
    assert "ORCHESTRATOR_HOME" not in advice.full_commands(NEXT)


def test_an_error_says_full_commands_too(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_error("NOT_FOUND", "There is none. `orchestrator project list` shows yours.", {}, as_json=False)
    assert f"`'{program}' project list`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["the codegen orchestrator", "/opt/orchestrator up", "orchestrator.service", "my-orchestrator x"]
)
def test_other_words_stay(program: Path, text: str) -> None:
    assert advice.full_commands(text) == text


def test_a_command_that_the_platform_quotes_names_the_home_too(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", "/srv/home")
    asked = QuestionDTO(
        id="q-1", workflow_id="w", task_id="dep-1", subject=Subject.project("p"), user_id=1, kind=QuestionKind.SECRET,
        text="It needs T. Set it with `orchestrator secret set notes T`, or answer. An orchestrator is no command.",
        secret_names=["T"],
    )  # fmt: skip
    out = Output(as_json=False)
    show_question(asked, out)
    show_open_questions([asked], out)
    shown = capsys.readouterr().out
    assert shown.count(f"`ORCHESTRATOR_HOME=/srv/home '{program}' secret set notes T`") == 2
    assert shown.count(f"Next: ORCHESTRATOR_HOME=/srv/home '{program}' answer q-1 --secret T") == 2
    assert shown.count("An orchestrator is no command.") == 2
