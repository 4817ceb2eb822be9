"""The wrapper drives an agent by the Agent Client Protocol: whatever the agent does, the turn has an end that says so.

Each agent is a process that takes a second to start: one turn decides, the rest is depth.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from activities.adapters.agents import scripted
from tests.support.agents.wrapped_turns import WrappedTurn


@pytest.fixture
def turn(tmp_path: Path) -> WrappedTurn:
    return WrappedTurn(tmp_path)


async def test_a_turn_writes_a_file_and_its_session_is_known_before_its_prompt(turn: WrappedTurn) -> None:
    quirks = {"mode": "full", "options": [["model", "best"]]}
    assert await turn.run(f"write {turn.directory}/hello.txt Hello", **quirks) == 0
    assert (turn.directory / "hello.txt").read_text() == "Hello"
    assert turn.kinds[:3] == ["started", "session", "prompt"]
    assert turn.events[1]["session_id"] == "session-1"
    assert (turn.said("tool"), turn.said("diff")) == ([f"Write {turn.directory}/hello.txt"], ["Hello"])
    assert "{'mode': 'full', 'model': 'best'}" in turn.said("message")[0]
    assert (turn.last["type"], turn.last["stop_reason"]) == ("completed", "end_turn")


@pytest.mark.deep
async def test_a_session_is_resumed_by_another_process(turn: WrappedTurn) -> None:
    await turn.run("say one")
    assert await turn.run("say two", session_id="session-1") == 0
    assert turn.events[-4]["resumed"] is True


@pytest.mark.deep
async def test_an_unknown_session_is_said_to_be_unknown_and_no_prompt_is_sent(turn: WrappedTurn) -> None:
    assert await turn.run("say two", session_id="session-9") == 1
    assert (turn.last["type"], turn.last["reason"]) == ("failed", "session_unknown")
    assert "prompt" not in turn.kinds


@pytest.mark.deep
async def test_a_permission_is_given(turn: WrappedTurn) -> None:
    assert await turn.run("allow") == 0
    assert turn.said("message") == ["allowed: yes"]


@pytest.mark.deep
async def test_a_running_turn_is_steered_in_its_session(turn: WrappedTurn) -> None:
    turn.steer_at = ("waiting", "say understood")
    assert await turn.run("stall") == 0
    assert turn.kinds.count("prompt") == 2
    assert turn.kinds.count("session") == 1
    assert turn.said("message")[-1] == "understood"


@pytest.mark.deep
async def test_a_turn_is_cancelled_in_a_stall(turn: WrappedTurn) -> None:
    turn.cancel_at = "waiting"
    assert await turn.run("stall") == 0
    assert (turn.last["type"], turn.last["reason"]) == ("stopped", "cancelled")


@pytest.mark.deep
async def test_an_agent_that_does_not_hear_a_cancel_is_ended(turn: WrappedTurn) -> None:
    turn.cancel_at = "deaf"
    assert await turn.run("deaf", cancel_s=0.3) == 0
    assert turn.last["type"] == "stopped"


@pytest.mark.deep
async def test_an_agent_that_does_not_hear_a_message_fails(turn: WrappedTurn) -> None:
    turn.steer_at = ("deaf", "say understood")
    assert await turn.run("deaf", cancel_s=0.3) == 1
    assert turn.last["reason"] == "hang"


@pytest.mark.deep
async def test_a_silent_agent_is_ended_by_the_watchdog(turn: WrappedTurn) -> None:
    assert await turn.run("deaf", silence_s=2.5, cancel_s=0.3) == 1
    assert (turn.last["reason"], "said nothing" in turn.last["message"]) == ("hang", True)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("prompt", "reason", "said"),
    [
        ("crash", "crash", "exit code 3. out of luck"),
        ("exit", "silent_exit", "exit code 0"),
        ("refuse rate_limit", "agent_error", "rate_limit"),
        ("refuse prompt is too long", "context_overflow", "too long"),
        ("stop max_tokens", "agent_error", "max_tokens"),
        ("stop cancelled", "agent_error", "without being asked"),
    ],
)
async def test_a_turn_that_failed_says_why(turn: WrappedTurn, prompt: str, reason: str, said: str) -> None:
    assert await turn.run(prompt) == 1
    assert (turn.last["type"], turn.last["reason"]) == ("failed", reason)
    assert said in turn.last["message"]


@pytest.mark.deep
async def test_an_agent_that_ends_at_once_has_done_nothing(turn: WrappedTurn) -> None:
    assert await turn.run("nothing") == 0
    assert turn.last["did_anything"] is False


@pytest.mark.deep
async def test_garbage_and_endless_lines_change_nothing(turn: WrappedTurn) -> None:
    for prompt, last in (("garbage", "still here"), ("huge", "after it")):
        assert await turn.run(prompt) == 0
        assert " ".join(turn.said("message")).endswith(last)
    assert max(len(event.get("text", "")) for event in turn.events) <= 8_000
    assert "Warning: no message" in [event.get("message") for event in turn.events]


@pytest.mark.deep
async def test_the_scripted_agent_speaks_the_protocol_and_knows_its_sessions(turn: WrappedTurn) -> None:
    call = {"argv": [sys.executable, str(Path(scripted.__file__).parent), "--acp"], "mode": "any"}
    assert await turn.run("What can you do?", **call) == 0
    assert "I am a script, not a model" in turn.said("message")[0]
    session_id = turn.events[1]["session_id"]
    assert await turn.run("And now?", **call, session_id=session_id) == 0
    assert await turn.run("And now?", **call, session_id="another") == 1
    assert turn.last["reason"] == "session_unknown"


async def test_a_program_that_is_not_there_fails(turn: WrappedTurn) -> None:
    assert await turn.run("say one", argv=["/nowhere/agent"]) == 1
    assert (turn.last["reason"], "/nowhere/agent cannot be started" in turn.last["message"]) == ("not_started", True)


async def test_a_program_that_speaks_no_protocol_fails_with_its_words(turn: WrappedTurn) -> None:
    assert await turn.run("say one", argv=["sh", "-c", "echo wrong arguments >&2; exit 2"]) == 1
    assert (turn.last["reason"], "wrong arguments" in turn.last["message"]) == ("not_started", True)


async def test_a_program_that_never_answers_has_so_long_to_start(turn: WrappedTurn) -> None:
    assert await turn.run("say one", argv=["sleep", "60"], start_s=0.3) == 1
    assert (turn.last["reason"], "within 0.3 s" in turn.last["message"]) == ("not_started", True)
