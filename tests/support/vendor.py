"""A vendor of models for tests: answers as it is told, slowly if need be, and counts what it has billed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.ports import any_free


@dataclass
class Answer:
    """`parts` are sent one after the other; before the part with the number `hold_at` it waits for `Vendor.go_on`."""

    parts: Sequence[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold_at: int | None = None
    cut: bool = False


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


def message_events(model: str, sent: int, received: int, text: str = "Hello", **usage: int) -> list[bytes]:
    """A streamed answer of the Messages API."""
    first = {"input_tokens": sent, "output_tokens": 1, **usage}
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": {"id": "msg_1", "type": "message", "model": model, "usage": first}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": received}}),
        ("message_stop", {}),
    ]
    return [f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode() for name, data in events]


def response_events(model: str, sent: int, received: int, cached: int = 0) -> list[bytes]:
    """A streamed answer of the Responses API."""
    base = {"id": "resp_1", "object": "response", "model": model}
    usage = {
        "input_tokens": sent, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": received,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": sent + received,
    }  # fmt: skip
    events = [
        {"type": "response.created", "response": {**base, "status": "in_progress", "usage": None}},
        {"type": "response.output_text.delta", "delta": "Hello"},
        {"type": "response.completed", "response": {**base, "status": "completed", "usage": usage}},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def chat_chunks(model: str, sent: int, received: int, *, with_usage: bool = True) -> list[bytes]:
    """A streamed answer of the Chat Completions API."""
    chunk = {"id": "chat_1", "object": "chat.completion.chunk", "model": model}
    usage = {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
    events: list[dict[str, Any]] = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": "Hello"}}], "usage": None},
        *([{**chunk, "choices": [], "usage": usage}] if with_usage else []),
    ]
    return [*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n"]


STREAM = {"Content-Type": "text/event-stream"}


@dataclass
class Vendor:
    """`answers` are given in their order, the last one again and again."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    most_open: int = 0

    def stream(self, events: Sequence[bytes], **chosen: Any) -> None:
        """From now on answers are this stream."""
        self.answers = [Answer(events, headers=STREAM, **chosen)]

    def reset(self) -> None:
        """As new."""
        self.answers, self.asked, self.most_open = [], [], 0
        self.go_on, self.holding, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            Asked(request.path_qs, {k.lower(): v for k, v in request.headers.items()}, await request.read())
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._send(request, answer)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left.set()
            raise
        finally:
            self.open -= 1

    async def _send(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        reply = web.StreamResponse(status=answer.status, headers=answer.headers)
        for number, part in enumerate([*answer.parts, b""]):
            if number == answer.hold_at:
                self.holding.set()
                await self.go_on.wait()
            if number == 0:
                await reply.prepare(request)
            if part:
                await reply.write(part)
        if answer.cut and request.transport is not None:
            request.transport.abort()
        await reply.write_eof()
        return reply


@asynccontextmanager
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor on a port of this machine."""
    one, app = Vendor(), web.Application(client_max_size=64_000_000)
    app.router.add_route("*", "/{path:.*}", one.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        port = any_free()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        one.url = f"http://127.0.0.1:{port}"
        yield one
    finally:
        one.go_on.set()
        await runner.cleanup()
