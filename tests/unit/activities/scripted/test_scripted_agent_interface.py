"""The scripted agent as a program: its lines, sessions, exit codes and run log."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.patience import patience
from tests.support.services.generated_project import AGENT

STREAM = ("--output-format", "stream-json", "--verbose")


def start(
    workspace: Path, *arguments: str, env: Mapping[str, str] | None = None, program: Path = AGENT
) -> "subprocess.CompletedProcess[str]":
    """Run under an interpreter without site-packages, as in a container that has nothing else."""
    given = {"PATH": os.environ["PATH"], "HOME": str(workspace.parent), **(env or {})}
    command = [sys.executable, "-I", "-S", str(program), *arguments]
    return subprocess.run(
        command, cwd=workspace, env=given, input="", capture_output=True, text=True, timeout=patience(60), check=False
    )


def lines(done: "subprocess.CompletedProcess[str]") -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "services" / "backend").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def test_a_turn_starts_with_init_and_ends_with_the_result(workspace: Path) -> None:
    done = start(workspace, "-p", "make me something cool", *STREAM)
    events = lines(done)
    assert done.returncode == 0
    assert (events[0]["type"], events[0]["subtype"], events[0]["cwd"]) == ("system", "init", str(workspace))
    assert (events[-1]["type"], events[-1]["subtype"], events[-1]["is_error"]) == ("result", "success", False)
    assert len({event["session_id"] for event in events}) == 1
    assert {"duration_ms", "num_turns", "result", "total_cost_usd", "usage"} <= events[-1].keys()


def test_an_unclear_wish_ends_in_a_question_that_says_what_asks(workspace: Path) -> None:
    outcome = workspace.parent / "outcome.json"
    start(workspace, "-p", "flower shop", *STREAM, env={"ORCHESTRATOR_OUTCOME": str(outcome)})
    asked = json.loads(outcome.read_text())
    assert asked["status"] == "question"
    assert "script, not a model" in asked["question"]
    assert "Make a notes service: title, text" in asked["choices"]


def test_the_question_speaks_the_language_of_the_wish(workspace: Path) -> None:
    outcome = workspace.parent / "outcome.json"
    (workspace / "TASK.md").write_text("# Task\nСделай что-нибудь крутое\n")
    start(workspace, "-p", "Do the task", env={"ORCHESTRATOR_OUTCOME": str(outcome)})
    assert "Я скрипт, а не модель" in json.loads(outcome.read_text())["question"]


def test_a_resumed_session_keeps_its_id_and_an_answer_is_remembered(workspace: Path) -> None:
    config = {"CLAUDE_CONFIG_DIR": str(workspace.parent / "config")}
    first = start(workspace, "-p", "flower shop", *STREAM, env=config)
    session = str(lines(first)[0]["session_id"])
    prompt = "Go on\n## Answer from the person\n[agent:no-commit] flowers: name"
    second = start(workspace, "-p", prompt, "--resume", session, *STREAM, env=config)
    assert lines(second)[0]["session_id"] == session
    [stored] = (workspace.parent / "config").rglob("*.json")
    remembered = json.loads(stored.read_text())
    assert (len(remembered["turns"]), remembered["answers"]) == (2, ["[agent:no-commit] flowers: name"])


@pytest.mark.parametrize("session", ["11111111-2222-3333-4444-555555555555", "../../etc/passwd", "x" * 500])
def test_an_unknown_session_cannot_be_resumed(workspace: Path, session: str) -> None:
    done = start(workspace, "-p", "continue", "--resume", session, *STREAM)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"No conversation found with session ID: {session}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hello"], "use -p"),
        (["-p", "hello", "--output-format", "stream-json"], "requires --verbose"),
        (["-p", "hello", "--no-such-option"], "--no-such-option"),
        (["-p"], "Input must be given"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(workspace: Path, arguments: list[str], said: str) -> None:
    done = start(workspace, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_may_not_skip_permissions_outside_a_sandbox(workspace: Path) -> None:
    call = ("-p", "flower shop", "--dangerously-skip-permissions", *STREAM)
    refused = start(workspace, *call)
    assert (refused.returncode, "root" in refused.stderr) == (1, True)
    assert start(workspace, *call, env={"IS_SANDBOX": "1"}).returncode == 0


def test_every_run_leaves_a_start_and_an_end_in_the_run_log(workspace: Path) -> None:
    log = workspace.parent / "runs.log"
    for _ in range(2):
        start(workspace, "-p", "flower shop", *STREAM, env={"SCRIPTED_AGENT_RUN_LOG": str(log)})
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["start", "end", "start", "end"]
    assert len({entry["pid"] for entry in entries}) == 2


def test_the_other_output_formats_give_only_the_result(workspace: Path) -> None:
    plain = start(workspace, "-p", "flower shop")
    assert "script, not a model" in plain.stdout
    [result] = lines(start(workspace, "-p", "flower shop", "--output-format", "json"))
    assert (result["type"], result["result"]) == ("result", plain.stdout.strip())


def test_told_to_fail_it_fails_as_a_real_agent_does(workspace: Path) -> None:
    outcome = workspace.parent / "outcome.json"
    (workspace / "TASK.md").write_text("Make a notes service: title [agent:fail]")
    done = start(workspace, "-p", "go", *STREAM, env={"ORCHESTRATOR_OUTCOME": str(outcome)})
    assert (done.returncode, lines(done)[-1]["is_error"]) == (1, True)
    assert lines(done)[-1]["subtype"] == "error_during_execution"
    assert json.loads(outcome.read_text())["status"] == "failed"


def test_a_workspace_without_git_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    workspace = tmp_path / "plain"
    (workspace / "services" / "backend").mkdir(parents=True)
    done = start(
        workspace, "-p", "Make a notes service: title", *STREAM, env={"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "not a git repository" in str(lines(done)[-1]["result"])


def test_the_folder_runs_wherever_it_was_copied_to(workspace: Path) -> None:
    copied = workspace.parent / "opt" / "agent"
    shutil.copytree(AGENT, copied, ignore=shutil.ignore_patterns("__pycache__"))
    assert start(workspace, "-p", "flower shop", program=copied).returncode == 0
