"""The wrapper runs one-shot programs: each prompt is a process that gets it on its standard input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activities.adapters.agents import wrapper as wrapper_package
from activities.adapters.agents.wrapper.events import Events
from activities.adapters.agents.wrapper.formats import FORMATS
from tests.support.agents.wrapped_turns import WrappedTurn
from tests.support.eventually import eventually

WRAPPER = Path(wrapper_package.__file__).parent


def line(**event: object) -> str:
    return f"echo '{json.dumps(event)}'"


RESULT = line(
    type="result", subtype="success", is_error=False, result="done", total_cost_usd=0.5, usage={"output_tokens": 3}
)


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[WrappedTurn]:
    # A run in the background of a shell ignores INT, and so would the programs here; the wrapper itself handles it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield WrappedTurn(tmp_path, {"runner": "exec", "lines": "claude"})
    signal.signal(signal.SIGINT, before)


def program(*commands: str, after: str = "cat > prompt") -> dict[str, Any]:
    """The first prompt runs these commands; a later one, in a known session, keeps its arguments and is done."""
    resumed = f"echo $0 > resumed; cat > second; {RESULT}"
    script = "; ".join([after, *commands])
    return {"argv": ["sh", "-c", script, "{session}"], "resume_argv": ["sh", "-c", resumed, "{session}"]}


async def test_the_prompt_is_its_input_and_the_session_is_chosen_before(turn: WrappedTurn) -> None:
    assert await turn.run("hello", **program("echo $0 > session", RESULT)) == 0
    assert (turn.directory / "prompt").read_text().endswith("hello")
    assert (turn.directory / "session").read_text().strip() == turn.events[1]["session_id"]
    assert turn.kinds == ["started", "session", "prompt", "usage", "completed"]
    assert turn.events[3]["cost_usd"] == 0.5


async def test_a_message_interrupts_and_continues_the_session(turn: WrappedTurn) -> None:
    turn.steer_at = ("waiting", "rather this")
    waiting = line(type="assistant", message={"content": [{"type": "text", "text": "waiting"}]})
    # `exec`: a dash that is just about to start another program loses the signal.
    assert await turn.run("hello", **program(waiting, "exec sleep 60")) == 0
    assert (turn.directory / "second").read_text().endswith("rather this")
    assert (turn.directory / "resumed").read_text().strip() == turn.events[1]["session_id"]
    assert turn.last["type"] == "completed"


async def test_a_cancel_ends_it_and_what_it_started(turn: WrappedTurn) -> None:
    turn.cancel_at = "waiting"
    waiting = line(type="assistant", message={"content": [{"type": "text", "text": "waiting"}]})
    script = program("sleep 987 & echo $! > child", waiting, "trap '' INT; sleep 60")
    assert await turn.run("hello", **script, cancel_s=0.3) == 0
    assert (turn.last["type"], turn.last["reason"]) == ("stopped", "cancelled")
    child = Path("/proc", (turn.directory / "child").read_text().strip(), "cmdline")
    await eventually(lambda: not child.exists() or b"987" not in child.read_bytes())


@pytest.mark.parametrize(
    ("commands", "reason", "said"),
    [
        (["echo out of luck >&2", "exit 3"], "crash", "out of luck"),
        (["exit 0"], "silent_exit", "without a result"),
        (["kill -9 $$"], "crash", "exit code -9"),
        (["echo No conversation found with session ID: x >&2", "exit 1"], "session_unknown", "No conversation"),
        (["echo Error: no rollout found for thread id x >&2", "exit 1"], "session_unknown", "no rollout"),
        ([line(type="result", subtype="success", is_error=True, result="Credit balance", api_error_status=402)],
         "agent_error", "402 Credit balance"),
        ([line(type="result", subtype="success", result="x", terminal_reason="api_error")], "agent_error", "x"),
        ([line(type="result", subtype="success", is_error=True, result="Prompt is too long")],
         "context_overflow", "too long"),
        ([RESULT, "exit 4"], "agent_error", "exit code 4"),
    ],
)  # fmt: skip
async def test_a_failure_says_why(turn: WrappedTurn, commands: list[str], reason: str, said: str) -> None:
    assert await turn.run("hello", **program(*commands)) == 1
    assert (turn.last["type"], turn.last["reason"]) == ("failed", reason)
    assert said in turn.last["message"]


async def test_a_silent_program_is_ended(turn: WrappedTurn) -> None:
    assert await turn.run("hello", **program("sleep 60"), silence_s=0.3, cancel_s=0.3) == 1
    assert turn.last["reason"] == "hang"


async def test_a_program_that_reads_nothing_may_still_answer(turn: WrappedTurn) -> None:
    assert await turn.run("x" * 300_000, **program(RESULT, after=":")) == 0


async def test_an_output_that_somebody_keeps_open_does_not_hold_up_the_end(turn: WrappedTurn) -> None:
    assert await turn.run("hello", **program("setsid sleep 988 & echo $! > child", RESULT)) == 0
    assert turn.last["after_s"] < 60, "and not when the last one has let go"
    os.kill(int((turn.directory / "child").read_text()), signal.SIGKILL)


async def test_a_signal_ends_the_turn_with_its_agent_and_says_so(tmp_path: Path) -> None:
    waiting = line(type="assistant", message={"content": [{"type": "text", "text": "$ORCHESTRATOR_MODEL_TOKEN omt-1"}]})
    job = tmp_path / "job.json"
    known = {"agent": "claude-code", "runner": "exec", "lines": "claude", "prompt": "hi", "workspace": str(tmp_path)}
    job.write_text(json.dumps({**known, **program(waiting, "sleep 60")}))
    wrapper = await asyncio.create_subprocess_exec(
        sys.executable, str(WRAPPER), str(job), stdout=subprocess.PIPE, start_new_session=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "ORCHESTRATOR_MODEL_TOKEN": "omt-1"},
    )  # fmt: skip
    assert wrapper.stdout is not None
    while b"update" not in (shown := await wrapper.stdout.readline()):
        assert shown
    assert json.loads(shown)["text"] == "$ORCHESTRATOR_MODEL_TOKEN [hidden]"
    wrapper.terminate()
    last = (await wrapper.stdout.read()).splitlines()[-1]
    assert (json.loads(last)["type"], json.loads(last)["reason"]) == ("stopped", "signal")
    assert (await wrapper.wait(), job.exists()) == (143, False)


CODEX = [
    {"type": "thread.started", "thread_id": "t1"},
    {"type": "item.started", "item": {"id": "i1", "type": "command_execution", "command": "make test"}},
    {"type": "item.completed",
     "item": {"id": "i1", "type": "command_execution", "aggregated_output": "2 failed", "exit_code": 1}},
    {"type": "item.completed", "item": {"type": "file_change", "changes": [{"path": "a.py", "kind": "add"}]}},
    {"type": "item.completed", "item": {"type": "agent_message", "text": "Done."}},
    {"type": "turn.completed", "usage": {"input_tokens": 7, "cached_input_tokens": 5, "output_tokens": 2}},
]  # fmt: skip
DROID = [
    {"type": "system", "subtype": "init", "session_id": "t1"},
    {"type": "message", "role": "user", "text": "hello"},
    {"type": "tool_call", "id": "i1", "toolName": "Execute", "parameters": {"command": "make test"}},
    {"type": "tool_result", "id": "i1", "isError": True, "value": "2 failed"},
    {"type": "message", "role": "assistant", "text": "Done."},
    {"type": "completion", "finalText": "Done.", "usage": {"input_tokens": 7, "output_tokens": 2}},
]
CLAUDE = [
    {"type": "system", "subtype": "init", "session_id": "t1"},
    {"type": "assistant", "message": {"content": [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "id": "i1", "name": "Bash", "input": {"command": "make test"}}]}},
    {"type": "user", "message": {"content": [
        {"type": "tool_result", "tool_use_id": "i1", "content": "2 failed", "is_error": True}]}},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "Done."}]}},
    {"type": "result", "subtype": "success", "terminal_reason": "completed",
     "usage": {"input_tokens": 7, "output_tokens": 2}},
]  # fmt: skip


@pytest.mark.parametrize(("name", "printed"), [("codex", CODEX), ("droid", DROID), ("claude", CLAUDE)])
def test_what_the_programs_print_is_understood(name: str, printed: list[dict[str, object]]) -> None:
    written: list[dict[str, Any]] = []
    sessions: list[str] = []
    lines = FORMATS[name](Events(write=lambda one: written.append(json.loads(one))), sessions.append)
    for event in printed:
        lines.take(json.dumps(event).encode())
    shown = [(event["kind"], event["text"]) for event in written if event["kind"] not in {"diff", "thought"}]
    assert shown == [("command", "make test"), ("result", "2 failed"), ("message", "Done.")]
    assert [event["status"] for event in written if event["kind"] == "result"] == ["failed"]
    assert (sessions, lines.finished, lines.error) == (["t1"], True, None)
    assert (lines.usage["input_tokens"], lines.usage["output_tokens"]) == (7, 2)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("codex", {"type": "turn.failed", "error": {"message": "402 no money"}}),
        ("droid", {"type": "error", "source": "agent_loop", "message": "402 no money"}),
    ],
)
def test_what_the_programs_print_of_an_error_is_understood(name: str, event: dict[str, object]) -> None:
    lines = FORMATS[name](Events(write=lambda _: None), lambda _: None)
    lines.take(json.dumps(event).encode())
    assert lines.error == "402 no money"


def test_a_session_id_of_another_shape_is_none() -> None:
    sessions: list[str] = []
    lines = FORMATS["codex"](Events(write=lambda _: None), sessions.append)
    for session in ("", "x" * 201, 7, None, ["a"]):
        lines.take(json.dumps({"type": "thread.started", "thread_id": session}).encode())
    assert sessions == []
