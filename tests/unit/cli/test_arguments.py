"""What the command line says to good and bad arguments, before anything of the platform is there."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.app import COMMANDS
from cli.client import session
from cli.terminal import inputs
from contracts.errors import OrchestratorError
from contracts.project_spec import ProjectSpec
from runtime import private_files
from tests.support.commands import Said, run_command
from tests.support.patience import patience

GROUPS = ["", "project", "delivery", "engineering", "deploy", "task", "question", "secret", "user", "token"]
SINGLE = ["up", "down", "status", "demo", "doctor", "web-ui", "answer", "replay"]


@pytest.fixture(autouse=True)
def _no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    for name in ("ORCHESTRATOR_API_URL", "ORCHESTRATOR_TOKEN", "ORCHESTRATOR_DEBUG"):
        monkeypatch.delenv(name, raising=False)


def orchestrator(arguments: Sequence[str], **environment: str) -> Said:
    return asyncio.run(run_command(*arguments, env={**os.environ, **environment}, timeout=60))


@pytest.mark.parametrize("group", GROUPS)
def test_help_names_the_exit_codes(group: str) -> None:
    done = orchestrator([*group.split(), "--help"])
    assert done.code == 0
    assert "Exit codes:" in done.out


def imported_by(*commands: list[str]) -> set[str]:
    """The modules in a process that has run these commands."""
    code = (
        "import json, sys; from cli.__main__ import run; "
        "[run(command) for command in json.loads(sys.argv[1])]; print(); print(json.dumps([*sys.modules]))"
    )
    argv = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=patience(60))
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_no_command_and_no_heavy_library() -> None:
    modules = imported_by(["--help"])
    assert not modules & {"httpx", "pydantic", "temporalio", "asyncpg"}
    assert {
        name for name in modules if name.startswith(("cli.commands", "cli.host", "cli.client", "cli.demo"))
    } == set()


def test_a_command_imports_its_own_module_and_no_other() -> None:
    modules = imported_by(["task", "list"])
    assert [name for name in modules if name.startswith("cli.commands.")] == ["cli.commands.task"]
    assert not [name for name in modules if name.startswith(("cli.host", "cli.demo"))]


REMOTE = [
    ["task", "show", "dlv-1"],
    ["delivery", "start", "-p", "notes", "A notes service"],
    ["deploy", "rollback", "notes"],
    ["answer", "q-1", "yes"],
    ["project", "create", "notes"],
    ["user", "list"],
    ["web-ui"],
]


@pytest.mark.parametrize("of_this_home", [True, False], ids=["the operator", "with a token"])
def test_commands_over_http_never_load_temporal(
    of_this_home: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if of_this_home:
        key = tmp_path / "home" / "keys" / "admin.key"
        private_files.make_directory(key.parent)
        private_files.replace(key, "k")
        monkeypatch.setenv("ORCHESTRATOR_API_PORT", "1")
    else:
        monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", "t")
    modules = imported_by(*REMOTE)
    assert {f"cli.commands.{name}" for name in ("task", "delivery", "deploy", "answer", "project", "user")} < modules
    assert not [
        name for name in modules if name.partition(".")[0] == "temporalio" or name == "runtime.temporal.gateway"
    ]


def test_every_command_of_the_overview_is_there_and_says_the_same_in_its_own_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, (_, text) in COMMANDS.items():
        assert run([name, "--help"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert text in said, name


@pytest.mark.parametrize("command", SINGLE)
def test_every_single_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


BAD = [
    ["nonsense"],
    ["project", "create"],
    ["project", "create", "Not Kebab"],
    ["project", "create", "notes", "--module", "nonsense"],
    ["project", "create", "notes", "--module", "web"],
    ["project", "create", "notes", "--title", "x" * 201],
    ["project", "create", "notes", "--description", "bell \x07"],
    ["project", "create", "notes", "--id", "../../etc/passwd"],
    ["project", "create", "notes", "--spec", "/nowhere.json"],
    ["project", "create", "notes", "--spec", "nul\x00.json"],
    ["delivery", "start", "a wish"],
    ["delivery", "start", "-p", "p", "x" * 20_001],
    ["delivery", "start", "-p", "p", "wish", "--agent", "nobody"],
    ["delivery", "start", "-p", "p", "wish", "--max-rounds", "99"],
    ["engineering", "start", "-p", "p", "wish", "--request-id", "$(reboot)"],
    ["deploy", "remove", "p"],
    ["task", "show"],
    ["task", "show", "../admin"],
    ["task", "show", "a" * 101],
    ["task", "show", "\ud800"],
    ["answer", "q-1", "yes\x00no"],
    ["task", "watch", "t", "--after", "-1"],
    ["task", "list", "--state", "sleeping"],
    ["task", "list", "--limit", "0"],
    ["task", "cancel", "a;rm -rf /"],
    ["question", "show", "[red]x[/red]"],
    ["answer", "q-1"],
    ["answer", "q-1", "\x1b[31mred"],
    ["answer", "q-1", "yes", "--answer-id", ""],
    ["secret", "set", "p", "TOKEN", "a-value-on-the-command-line"],
    ["secret", "set", "p", "lower-case", "--value-file", "/nowhere"],
    ["secret", "set", "p", "TOKEN", "--value-file", "/nowhere"],
    ["secret", "delete", "p", "x y"],
    ["user", "add", "abc"],
    ["user", "add", "-5"],
    ["user", "add", "5", "--role", "agent"],
    ["token", "create", "p"],
    ["token", "create", "p", "-c", "task.show", "--ttl", "1"],
    ["up", "--port-base", "70000"],
    ["up", "--port-base", "x"],
    ["replay"],
    ["replay", "/nowhere/history.json"],
    ["demo", "bell \x07"],
]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("utf-8-sig", None), ("utf-16", "is not UTF-8 text"), ("utf-16-le", "not a valid ProjectSpec")],
)
def test_a_spec_in_another_encoding_is_read_or_refused_in_words(
    encoding: str, words: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes('{"name": "blog", "description": "Блог"}'.encode(encoding))
    if words is None:
        assert inputs.spec(file) == ProjectSpec(name="blog", description="Блог")
    else:
        with pytest.raises(OrchestratorError, match=words):
            inputs.spec(file)


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:40].encode("ascii", "replace"))
def test_bad_input_is_refused_in_one_line_and_touches_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error INVALID_INPUT: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
    assert "a-value-on-the-command-line" not in said.err
    assert said.out == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("arguments", BAD[:12], ids=lambda arguments: " ".join(arguments)[:40])
def test_with_json_the_refusal_is_one_document(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert error["code"] == "INVALID_INPUT"
    assert error["message"]
    assert said.err == ""


def test_without_a_platform_the_first_line_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["project", "list"]) == 6
    assert "orchestrator up" in capsys.readouterr().err


def test_an_api_without_a_token_is_said_to_need_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:1")
    assert run(["project", "list"]) == 4
    assert "ORCHESTRATOR_TOKEN" in capsys.readouterr().err


def test_an_unreachable_api_ends_with_6_within_five_seconds() -> None:
    began = time.perf_counter()
    done = orchestrator(["task", "list"], ORCHESTRATOR_API_URL="http://127.0.0.1:1", ORCHESTRATOR_TOKEN="t")
    assert done.code == 6
    assert time.perf_counter() - began < patience(5)
    assert done.err.startswith("error API_UNREACHABLE")
    assert "`orchestrator status`" in done.err


def test_an_api_that_takes_the_connection_and_says_nothing_is_told_within_five_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.perf_counter()
        done = orchestrator(["project", "create", "notes"], ORCHESTRATOR_API_URL=url, ORCHESTRATOR_TOKEN="t")
        took = time.perf_counter() - began
    assert done.code == 6
    # What the program waits for leaves it a second and a half to start in; how long that takes is the machine's.
    assert session._FIRST_ANSWER_S + session._HEALTH_S <= 3.5
    assert took < patience(5)
    assert done.err.startswith("error API_UNREACHABLE")
    assert "`orchestrator status`" in done.err


@pytest.mark.parametrize("token", ["line\nbreak", "caf\u00e9"])
def test_a_token_that_http_does_not_allow_is_an_error_and_no_traceback(token: str) -> None:
    done = orchestrator(["task", "list"], ORCHESTRATOR_API_URL="http://127.0.0.1:1", ORCHESTRATOR_TOKEN=token)
    assert done.code in {2, 6}
    assert "Traceback" not in done.err


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_PORT", "many")
    assert run(["status"]) == 2
    assert "ORCHESTRATOR_API_PORT" in capsys.readouterr().err


def test_status_and_down_of_an_empty_home_are_quiet_and_change_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["down"]) == 0
    assert run(["status", "--json"]) == 6
    status = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status["parts"]["api"]["trouble"] == "not running"
    assert (status["work_known"], status["tasks"]) == (False, [])
    assert run(["status"]) == 6
    assert "No work in progress" not in capsys.readouterr().out, "nobody can know that now"
    assert not (tmp_path / "home").exists()


def test_a_traceback_is_shown_only_on_request() -> None:
    done = orchestrator(["task", "show", "../x"], ORCHESTRATOR_DEBUG="1")
    assert "Traceback" in done.err


@pytest.mark.parametrize("command", ["up", "down", "status", "demo", "doctor"])
def test_a_command_about_this_host_is_refused_while_another_api_is_named(command: str, tmp_path: Path) -> None:
    done = orchestrator([command], ORCHESTRATOR_API_URL="http://127.0.0.1:1", ORCHESTRATOR_TOKEN="t")
    assert done.code == 2
    assert "Unset ORCHESTRATOR_API_URL" in done.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["парк", "$(id)", "[red]", "", "x" * 64])
def test_a_bad_project_name_is_explained_in_words(name: str) -> None:
    done = orchestrator(["project", "create", name])
    assert done.code == 2
    assert "lower-case Latin letters" in done.err


def test_a_replay_of_a_platform_that_is_not_there_is_refused_instead_of_empty(tmp_path: Path) -> None:
    done = orchestrator(["replay", "--query", "ExecutionStatus='Running'"])
    assert done.code == 6
    assert f"no platform in {tmp_path / 'home'}" in done.err
    assert "replayed" not in done.out


def test_a_file_that_is_no_history_is_refused_as_input(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[]")
    done = orchestrator(["replay", str(file)])
    assert done.code == 2
    assert "list.json is not a history" in done.err


def test_a_history_path_that_is_too_long_is_refused_as_input() -> None:
    done = orchestrator(["replay", "x" * 5000])
    assert done.code == 2
    assert "no history file" in done.err
