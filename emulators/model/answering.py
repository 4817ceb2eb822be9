"""One request from its step to the last byte of its answer."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiohttp import web

from emulators.model import refusals
from emulators.model.directives import UnknownDirective
from emulators.model.exchange import Answer, Asked, Event, Format, Refusal, Usage
from emulators.model.model import Model, Turn, answer, prompt
from emulators.model.records import Record, short
from emulators.model.steps import Do
from emulators.model.tools import NoSuchTool

_CUT_AFTER = 120
"""Tokens after which a stream is cut."""
_CUT_TEXT = "This answer is cut off before its end. " * 40


@dataclass
class Answering:
    """Answers `asked` in `form`; `record` says afterwards what became of it."""

    model: Model
    form: Format
    record: Record
    asked: Asked

    async def respond(self, request: web.Request) -> web.StreamResponse:
        try:
            turn = self.model.turn(self.record.key, self.asked)
            self._note(turn)
            return await self._respond(request, turn)
        except (UnknownDirective, NoSuchTool) as error:
            # A scenario that cannot be played is the test's mistake: it must not pass as an answer.
            return self._refuse(refusals.of_status(self.form.name, 400, message=f"scripted model: {error}"))

    async def _respond(self, request: web.Request, turn: Turn) -> web.StreamResponse:
        do = turn.step.do
        if do in {Do.STATUS, Do.OVERFLOW}:
            return self._refuse(refusals.of_step(self.form.name, turn.step, turn.left_s))
        if do is Do.DROP:
            return self._drop(request)
        if do is Do.STALL:
            return await self._stall(request)
        given = Answer(_CUT_TEXT) if do is Do.CUT else answer(self.asked, turn.step)
        usage = self.model.caches.usage(self.record.key, self.asked, given)
        if not self.asked.stream:
            return await self._whole(request, turn, given, usage)
        return await self._stream(request, turn, given, usage)

    def _note(self, turn: Turn) -> None:
        record = self.record
        record.model, record.stream, record.side = self.asked.model, self.asked.stream, turn.side
        record.step, record.prompt = str(turn.step.do), short(prompt(self.asked))
        record.tools = [tool.name for tool in self.asked.tools]

    def _refuse(self, refusal: Refusal) -> web.Response:
        self.record.state, self.record.status = "refused", refusal.status
        body, headers = self.form.error(refusal, self.record.number), self.form.headers(refusal, self.record.number)
        return web.json_response(body, status=refusal.status, headers=headers)

    def _drop(self, request: web.Request) -> web.Response:
        """Close the connection without an answer."""
        self.record.state = "cut"
        _abort(request)
        return web.Response(status=502)

    async def _stall(self, request: web.Request) -> web.StreamResponse:
        """Headers, and then nothing until the client goes. Nothing is billed: no token was produced."""
        response = await self._opened(request)
        await asyncio.Event().wait()
        return response

    async def _whole(self, request: web.Request, turn: Turn, given: Answer, usage: Usage) -> web.StreamResponse:
        if turn.step.lasts_s:
            await asyncio.sleep(turn.step.lasts_s)
        self.model.records.charge(self.record, usage)
        self.record.status = 200
        if turn.step.do is Do.CUT:
            return self._drop(request)
        self.record.state = "answered"
        body = self.form.document(self.asked, given, usage, self.record.number)
        return web.json_response(body, headers=self.form.headers(None, self.record.number))

    async def _stream(self, request: web.Request, turn: Turn, given: Answer, usage: Usage) -> web.StreamResponse:
        response = await self._opened(request)
        *events, last = self._events(given, usage)
        produced, charged = 0, False
        try:
            for event in events:
                produced += event.output
                await response.write(encoded(event))
                if turn.step.do is Do.CUT and produced >= _CUT_AFTER:
                    return self._cut(request, response)
                if turn.step.lasts_s:
                    await asyncio.sleep(turn.step.lasts_s / len(events))
            # Before the end is sent: who has read it finds it in the bill.
            charged, self.record.state = True, "answered"
            self.model.records.charge(self.record, usage)
            await response.write(encoded(last))
        finally:
            if not charged:
                # Who goes before the end pays for what was produced until then.
                self.model.records.charge(self.record, replace(usage, output=min(produced, usage.output)))
        await response.write_eof()
        return response

    def _events(self, given: Answer, usage: Usage) -> Iterator[Event]:
        return self.form.events(self.asked, given, usage, self.record.number)

    def _cut(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        self.record.state = "cut"
        _abort(request)
        return response

    async def _opened(self, request: web.Request) -> web.StreamResponse:
        self.record.status = 200
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers | self.form.headers(None, self.record.number))
        await response.prepare(request)
        return response


def encoded(event: Event) -> bytes:
    """An event as its bytes on the wire."""
    data = event.data if isinstance(event.data, str) else json.dumps(event.data, ensure_ascii=False)
    name = f"event: {event.name}\n" if event.name else ""
    return f"{name}data: {data}\n\n".encode()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
