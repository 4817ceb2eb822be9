"""Streams and lines of agents, which are never to be trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.agents.scripted_cli import ScriptedAgent
from activities.adapters.agents.stream import StreamJson
from activities.adapters.runs.bounded_log import BoundedLog
from activities.adapters.runs.follower import LineFollower, LineSplitter, Shown
from activities.adapters.runs.states import RunState, RunStatus
from activities.ports import Follow
from contracts.progress import FineEvent, FineKind
from runtime.other_users import blocked_at


def encoded(**event: object) -> bytes:
    return json.dumps(event).encode()


def test_a_result_gives_text_usage_and_session() -> None:
    reader = StreamJson()
    reader.feed(encoded(type="system", subtype="init", session_id="s1"))
    usage = {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3}
    reader.feed(
        encoded(type="result", subtype="success", result="done", total_cost_usd=0.5, usage=usage, session_id="s2")
    )
    report = reader.report
    assert (report.session_id, report.text, report.is_error, report.finished) == ("s2", "done", False, True)
    assert (report.cost_usd, report.input_tokens, report.output_tokens) == (0.5, 3, 3)


def test_an_error_result_is_an_error_even_when_it_looks_fine() -> None:
    reader = StreamJson()
    reader.feed(encoded(type="result", subtype="error_max_turns", is_error=False))
    assert reader.report.is_error


def test_tool_calls_are_shown_with_what_they_touch() -> None:
    blocks = [{"type": "tool_use", "name": "Write", "input": {"file_path": "a.py", "content": "x" * 9999}}]
    assert StreamJson().feed(encoded(type="assistant", message={"content": blocks})) == ["Write: a.py"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "message",
                        "content",
                        "usage",
                        "result",
                        "errors",
                        "input",
                        "session_id",
                        "input_tokens",
                        "text",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_survived(value: object) -> None:
    for kind in ("result", "assistant", "system"):
        reader = StreamJson()
        reader.feed(json.dumps(value).encode())
        reader.feed(
            json.dumps({"type": kind, "message": value, "usage": value, "result": value, "errors": value}).encode()
        )
        reader.feed(json.dumps({"type": "assistant", "message": {"content": value}}).encode())
        assert len(reader.report.text) <= 20_000


@given(st.binary())
def test_any_bytes_are_survived(line: bytes) -> None:
    StreamJson().feed(line)


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_and_their_offsets_do_not_depend_on_how_the_output_was_cut(lines: list[bytes], size: int) -> None:
    whole = b"\n".join(lines)
    splitter = LineSplitter()
    found = [line for start in range(0, len(whole), size) for line in splitter.feed(whole[start : start + size])]
    found += splitter.last()
    assert all(whole[offset : offset + len(line)] == line for offset, line in found)
    assert b"\n".join(line for _, line in found) == whole.removesuffix(b"\n") or whole in (b"", b"\n")


@dataclass
class Ended:
    """A run that has printed this and is then in `state`."""

    state: RunState
    output: bytes = b"hi\n"

    def read_output(self, name: str, offset: int, limit: int = 65536) -> tuple[bytes, int]:
        return self.output[offset:], len(self.output)

    async def wait(self, name: str) -> RunStatus:
        return RunStatus(name, self.state)


@pytest.mark.parametrize(("state", "end"), [("exited", "exited"), ("lost", "lost"), ("absent", "lost")])
async def test_a_run_that_was_removed_while_it_was_followed_is_lost_and_not_ended(
    state: RunState, end: RunState
) -> None:
    said: list[str] = []

    async def report(events: list[FineEvent], offset: int) -> None:
        said.extend(str(event.event.message) for event in events)

    follower = LineFollower(Ended(state), Follow(0, report), "eng-1:1", "r1", "eng-1")
    status, offset = await follower.follow("turn-eng-1-1", lambda line: [line.decode()])
    assert (status.state, offset, said) == (end, 3, ["hi"])


def test_the_scripted_agent_asks_for_no_permissions_as_root() -> None:
    assert "--dangerously-skip-permissions" not in ScriptedAgent().argv("hi", None, privileged=True)
    assert "--dangerously-skip-permissions" in ScriptedAgent().argv("hi", None, privileged=False)


def test_a_log_keeps_its_head_and_its_tail_and_says_what_is_between(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", cap=10, tail=6)
    for number in range(50):
        log.write(b"ab%02d" % number)
    log.close()
    log.close()
    written = (tmp_path / "log").read_bytes()
    assert written.startswith(b"ab00ab01ab\n[182 bytes of output were left out")
    assert written.endswith(b"]\nab48ab49")


def test_a_log_without_a_middle_is_whole(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", cap=10, tail=8)
    for _ in range(4):
        log.write(b"abcd")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"abcd" * 4


def test_the_log_of_a_service_keeps_the_latest_output(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", cap=10, rotate=True)
    log.write(b"0123456789")
    log.write(b"new")
    assert (tmp_path / "log").read_bytes() == b"new"
    assert (tmp_path / "log.1").read_bytes() == b"0123456789"


@pytest.mark.parametrize(("mode", "blocked"), [(0o700, True), (0o711, False), (0o755, False)])
def test_a_path_is_reachable_when_others_may_enter_every_part(tmp_path: Path, mode: int, blocked: bool) -> None:
    gate = tmp_path / "gate"
    (gate / "inside").mkdir(parents=True)
    gate.chmod(mode)
    found = blocked_at(gate / "inside")
    assert (found == gate) is blocked or (found is not None and found in gate.parents)


async def test_events_say_what_they_are_about_and_thoughts_are_throttled() -> None:
    lines = [b"a thought", b"another", b"a command", b"plain"]
    events: list[FineEvent] = []

    async def report(more: list[FineEvent], offset: int) -> None:
        events.extend(more)

    def shown(line: bytes) -> list[str]:
        kinds: dict[bytes, FineKind] = {b"a thought": "thought", b"another": "thought", b"a command": "command"}
        text = line.decode()
        return [Shown(text, kinds[line]) if line in kinds else text]

    ended = Ended("exited", b"\n".join(lines) + b"\n")
    await LineFollower(ended, Follow(0, report), "w:1", "r", "t").follow("run", shown)
    assert [(one.event.message, one.event.kind) for one in events] == [
        ("a thought", "thought"), ("a command", "command"), ("plain", None),
    ]  # fmt: skip
