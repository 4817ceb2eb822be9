"""The typed API client against a real socket whose replies the test decides."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.nouns import AnswerRequest, UserCreate
from runtime import api_client
from runtime.api_client import ApiClient

Reply = bytes
Handler = Callable[[str, dict[str, str], bytes, asyncio.StreamWriter], Awaitable[None]]
NOW = datetime.now(UTC).isoformat()


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """A server that gives each request to `handler` and closes the connection after its reply."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readline()).decode().rsplit(" ", 1)[0]
        headers: dict[str, str] = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        await handler(request, headers, body, writer)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def write_json(writer: asyncio.StreamWriter, document: object, status: int = 200) -> None:
    content = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + content)


def problem(code: str, detail: str, status: int) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": "No",
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r-1",
        "errors": [],
    }


def task_document(state: str) -> dict[str, object]:
    return {
        "id": "dlv-1",
        "kind": "delivery",
        "subject": {"kind": "project", "id": "p-1"},
        "user_id": 1,
        "workflow_id": "delivery/p-1/dlv-1",
        "state": state,
        "created_at": NOW,
        "updated_at": NOW,
    }


def sse(seq: int) -> bytes:
    event = {"type": "progress", "request_id": "r", "timestamp": NOW, "message": f"line {seq}"}
    of_task = {"task_id": "dlv-1", "kind": "delivery", "subject": {"kind": "project", "id": "p-1"}}
    data = json.dumps({"seq": seq, "grain": "fine", "event": event, **of_task})
    return f"id: dlv-1:{seq}\ndata: {data}\n\n".encode()


def seen_by(headers: dict[str, str]) -> int:
    """The `seq` behind which a client goes on."""
    return int(headers.get("last-event-id", "dlv-1:0").rpartition(":")[2])


async def test_a_problem_document_arrives_as_the_error_with_the_same_code() -> None:
    async def refuse(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        write_json(writer, problem("QUESTION_CLOSED", "It was answered.", 409), 409)

    async with server(refuse) as url, ApiClient(url, "t") as client:
        with pytest.raises(OrchestratorError, match="It was answered") as caught:
            await client.answer("q-1", AnswerRequest(answer_id="a"))
    assert caught.value.code is ErrorCode.QUESTION_CLOSED
    assert not caught.value.retryable


async def test_a_foreign_server_is_told_apart_from_the_platform() -> None:
    async def refuse(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        write_json(writer, {"hello": "world"}, 404)

    async with server(refuse) as url, ApiClient(url, "t") as client:
        with pytest.raises(OrchestratorError, match="really the platform's API") as caught:
            await client.task("dlv-1")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_an_address_without_a_server_is_a_transient_error_that_says_what_to_do() -> None:
    async with ApiClient("http://127.0.0.1:1", "t", attempts=2) as client:
        with pytest.raises(OrchestratorError, match="orchestrator up") as caught:
            await client.health()
    assert caught.value.code is ErrorCode.API_UNREACHABLE
    assert caught.value.error_class is ErrorClass.TRANSIENT


async def test_only_calls_that_may_be_repeated_are_tried_again() -> None:
    seen: list[str] = []

    async def fail_first(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        if len(seen) == 1 or request.startswith("POST /users"):
            write_json(writer, problem("INTERNAL", "Try again.", 503), 503)
        else:
            write_json(writer, task_document("running"))

    async with server(fail_first) as url, ApiClient(url, "t") as client:
        assert (await client.task("dlv-1")).id == "dlv-1"
        with pytest.raises(OrchestratorError):
            await client.create_user(UserCreate(user_id=5))
    assert seen == ["GET /tasks/dlv-1", "GET /tasks/dlv-1", "POST /users"]


async def test_a_secret_travels_as_its_value_and_an_id_stays_one_path_segment() -> None:
    seen: list[tuple[str, bytes]] = []

    async def store(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append((request, body))
        write_json(writer, {"name": "TOKEN", "ref": "secret://x", "source": "user", "updated_at": NOW})

    async with server(store) as url, ApiClient(url, "t") as client:
        await client.set_secret("../admin?x=1", "TOKEN", SecretStr("s3cr3t"))
        with pytest.raises(OrchestratorError, match="not an id"):
            await client.delete_secret("..", "TOKEN")
    assert seen == [("PUT /projects/..%2Fadmin%3Fx%3D1/secrets/TOKEN", b'{"value":"s3cr3t"}')]


async def test_a_stream_that_is_cut_continues_with_nothing_missing_and_nothing_repeated() -> None:
    resumed_from: list[str | None] = []

    async def cut(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        resumed_from.append(headers.get("last-event-id"))
        start = seen_by(headers)
        if start == 6:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            # Two new events, and on the first two connections a torn one.
            content = b"".join(sse(seq) for seq in (start + 1, start + 2))
            torn = b"id: 77\ndata: {" if len(resumed_from) < 3 else b""
            length = len(content) + (1000 if torn else 0)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\n\r\n"
            writer.write(head.encode() + content + torn)

    async with server(cut) as url, ApiClient(url, "t") as client:
        seen = [event.seq async for event in client.watch("dlv-1")]
    assert seen == [1, 2, 3, 4, 5, 6]
    assert resumed_from == [None, "dlv-1:2", "dlv-1:4", "dlv-1:6"]


async def test_cuts_with_news_between_them_are_counted_anew_however_long_the_watch_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_once(failures: int) -> None:
        """Pauses are not what this is about."""

    monkeypatch.setattr(api_client, "_pause", at_once)
    cuts = 3 * api_client._RECONNECTIONS

    async def cut(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        seen = seen_by(headers)
        if seen == cuts:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            missing = 1000
            content = sse(seen + 1)
            head = f"Content-Type: text/event-stream\r\nContent-Length: {len(content) + missing}\r\n\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{head}".encode() + content)

    async with server(cut) as url, ApiClient(url, "t") as client:
        seen = [event.seq async for event in client.watch("dlv-1")]
    assert seen == list(range(1, cuts + 1))


async def test_cuts_without_news_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    async def noted(failures: int) -> None:
        pauses.append(failures)

    monkeypatch.setattr(api_client, "_pause", noted)

    async def cut(request: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n")

    async with server(cut) as url, ApiClient(url, "t") as client:
        with pytest.raises(OrchestratorError) as caught:
            _ = [event async for event in client.watch("dlv-1")]
    assert caught.value.code is ErrorCode.API_UNREACHABLE
    assert pauses == list(range(1, api_client._RECONNECTIONS + 1))


async def test_a_server_that_hangs_is_waited_for_once_and_not_for_each_attempt() -> None:
    asked = []

    async def silent(request: str, _headers: dict[str, str], _body: bytes, _writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        await asyncio.sleep(5)

    async with server(silent) as url, ApiClient(url, "key", timeout_s=0.5, attempts=3) as api:
        with pytest.raises(OrchestratorError) as caught:
            await api.tasks()
    assert caught.value.code is ErrorCode.API_UNREACHABLE
    assert len(asked) == 1
