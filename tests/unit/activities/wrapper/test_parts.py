"""The parts of the wrapper on their own: lines, events, controls, the way to the model, and its job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.adapters.agents.wrapper import events as wrapper_events
from activities.adapters.agents.wrapper.control import Cancel, Command, ControlDirectory, Steer
from activities.adapters.agents.wrapper.events import Events
from activities.adapters.agents.wrapper.forwarding import Forwarder
from activities.adapters.agents.wrapper.job import TOKEN_VARIABLE, Job, environment_of, remove_token, taken, write_files
from activities.adapters.agents.wrapper.lines import Lines
from activities.adapters.agents.wrapper.updates import Updates
from activities.adapters.agents.wrapper_lines import WrapperLines
from tests.support.eventually import eventually

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


async def lines_of(content: bytes, limit: int = 100) -> list[bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    lines, found = Lines(reader, limit), []
    while (line := await lines.next()) is not None:
        found.append(line)
    return found


async def test_lines_above_the_limit_are_dropped_and_the_others_stay() -> None:
    assert await lines_of(b"one\n\n" + b"x" * 300_000 + b"\ntwo\nrest") == [b"one", b"", b"two", b"rest"]


async def test_what_is_said_in_pieces_is_one_event() -> None:
    written: list[dict[str, Any]] = []
    events = Events(write=lambda line: written.append(json.loads(line)))
    for word in ("Hel", "lo ", "there"):
        events.piece("message", word)
    events.piece("thought", "hm")
    events.end("completed")
    assert [(one["type"], one.get("text")) for one in written] == [
        ("update", "Hello there"), ("update", "hm"), ("completed", "Hello there"),
    ]  # fmt: skip


@pytest.mark.parametrize("before", [0, 7_970, 7_990, 1_990, 1_999])
async def test_no_part_of_the_secret_is_in_a_line_wherever_a_text_is_cut(before: int) -> None:
    secret = "omt-" + "".join(chr(65 + number) for number in range(26))
    written: list[bytes] = []
    events = Events(write=written.append, secret=secret)
    events.update("command", "x" * before + secret * 2, path="x" * before + secret * 2)
    for character in "x" * before + secret + "y" * 3_000 + secret:
        events.piece("message", character)
    events.end("completed")
    said = b" ".join(written)
    assert not [part for part in (secret[:12], secret[-12:]) if part.encode() in said]
    assert b"[hidden]" in said


def test_updates_end_at_a_limit_and_the_end_is_always_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapper_events, "_MOST", 1_000)
    written: list[bytes] = []
    events = Events(write=written.append)
    for _ in range(100):
        events.update("message", "x" * 100)
    events.end("failed", reason="agent_error")
    assert sum(map(len, written)) < 2_000
    assert json.loads(written[-1])["updates_dropped"] > 80


@settings(max_examples=40)
@given(JSON, st.sampled_from(["tool_call", "tool_call_update", "plan", "usage_update", "agent_message_chunk", "x"]))
def test_any_update_is_survived_and_stays_small(value: object, kind: str) -> None:
    async def take() -> list[bytes]:
        written: list[bytes] = []
        updates = Updates(Events(write=written.append))
        updates.take(value)
        names = ("content", "entries", "rawInput", "rawOutput", "locations", "title", "status", "used", "cost")
        updates.take({"update": {"sessionUpdate": kind, **dict.fromkeys(names, value)}})
        updates.take({"update": {"sessionUpdate": kind, "content": [value], "status": "completed"}})
        updates.events.flush()
        return written

    reader = WrapperLines()
    for line in asyncio.run(take()):
        assert len(line) < 100_000
        reader.feed(line)


@settings(max_examples=40)
@given(JSON)
def test_any_line_of_a_wrapper_is_survived(value: object) -> None:
    reader = WrapperLines()
    for kind in ("update", "completed", "failed", "stopped", "session", "usage", "steered", "log"):
        names = ("text", "message", "reason", "kind", "path", "session_id", "cost_usd", "input_tokens", "did_anything")
        shown = reader.feed(json.dumps({"type": kind, **dict.fromkeys(names, value)}).encode())
        assert all(len(one) <= 600 for one in shown)
    assert len(reader.report.text) <= 20_000


@given(st.binary())
def test_any_bytes_of_a_wrapper_are_survived(line: bytes) -> None:
    WrapperLines().feed(line)


def test_the_end_of_a_turn_is_read_from_its_last_line() -> None:
    reader = WrapperLines()
    for event in (
        {"type": "session", "session_id": "s1"},
        {"type": "usage", "input_tokens": 3, "cache_read_tokens": 4, "output_tokens": 2, "cost_usd": 0.5},
        {"type": "failed", "reason": "session_unknown", "message": "not there", "text": "", "did_anything": False},
    ):
        reader.feed(json.dumps(event).encode())
    report = reader.report
    assert (report.session_id, report.input_tokens, report.output_tokens, report.cost_usd) == ("s1", 7, 2, 0.5)
    assert (report.finished, report.is_error, report.session_unknown, report.text) == (True, True, True, "not there")


async def test_commands_are_taken_once_and_in_order_also_those_that_come_in_parts(tmp_path: Path) -> None:
    taken_commands: list[Command] = []
    directory = tmp_path / "control" / "turn-1"
    directory.mkdir(parents=True)
    (directory / "001.json").write_text('{"kind": "steer", "text": "first"}')
    control = ControlDirectory(directory, taken_commands.append)
    control.open()
    half = (directory / "002.json").open("w")
    half.write('{"kind": "steer", ')
    half.flush()
    for name, content in (("notes.txt", "{}"), ("003.json", "nonsense"), ("004.json", '{"kind": "steer"}')):
        (directory / name).write_text(content)
    half.write('"text": "second"}')
    half.close()
    (directory / "010.json").write_text('{"kind": "cancel"}')
    await eventually(lambda: taken_commands == [Steer("first"), Steer("second"), Cancel()])
    control.close()


@asynccontextmanager
async def proxy(socket: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    """Something that answers each request of a connection; what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1000):
            asked.append(request)
            if answer:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, socket)
    yield asked
    server.close()


async def test_a_request_without_an_answer_is_waited_for(tmp_path: Path) -> None:
    async with proxy(tmp_path / "a.sock", b"") as asked:
        forwarder = Forwarder(str(tmp_path / "a.sock"), 0)
        port = await forwarder.open()
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST")
        await eventually(lambda: (asked, forwarder.waiting) == ([b"POST"], 1))
        writer.close()
        await eventually(lambda: forwarder.waiting == 0)
        idle.close()
        forwarder.close()


async def test_an_answer_comes_back_and_a_proxy_that_restarts_is_waited_for(tmp_path: Path) -> None:
    forwarder = Forwarder(str(tmp_path / "a.sock"), 0)
    port = await forwarder.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST")
    await eventually(lambda: forwarder.waiting == 1)
    async with proxy(tmp_path / "a.sock", b"200"):
        assert await reader.readexactly(3) == b"200"
        assert forwarder.waiting == 0
        writer.close()
    forwarder.close()


def test_a_job_is_read_once_and_knows_no_token(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    job = {"agent": "codex", "runner": "exec", "argv": ["codex"], "prompt": "hi", "workspace": "/w", "newer": 1}
    path.write_text(json.dumps(job))
    read = taken(path)
    assert (read.agent, read.prompt, path.exists()) == ("codex", "hi", False)
    assert environment_of(read, {"A": "b", TOKEN_VARIABLE: "omt-1"}) == {"A": "b"}


def test_configuration_gets_the_token_and_only_the_agent_may_read_it(tmp_path: Path) -> None:
    job = Job("codex", "exec", ["codex"], "hi", "/w", files={".factory/settings.json": '{"apiKey": "{token}"}'})
    (tmp_path / ".factory").mkdir()
    (tmp_path / ".factory" / "settings.json").symlink_to(tmp_path / "elsewhere")
    write_files(job, tmp_path, "omt-1")
    written = tmp_path / ".factory" / "settings.json"
    assert written.read_text() == '{"apiKey": "omt-1"}'
    assert (written.stat().st_mode & 0o777, (tmp_path / "elsewhere").exists()) == (0o600, False)
    remove_token(job, tmp_path)
    assert not written.exists()
