"""The HTTP server: the three interfaces, counting of tokens, the list of models, and `/control`."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.model import control, refusals
from emulators.model.answering import Answering
from emulators.model.exchange import Format, InvalidRequest, Json, Refusal
from emulators.model.formats import FORMATS
from emulators.model.model import Model
from emulators.model.records import Record
from emulators.model.tokens import of_input

_LARGEST_BODY = 64 * 1024 * 1024
_MODELS = ("claude-opus-5-5", "claude-haiku-5", "gpt-6.1-sol", "gpt-5.6-luna")


def build(model: Model) -> web.Application:
    """One scripted model and its control."""
    handler = _Handler(model)
    app = web.Application(client_max_size=_LARGEST_BODY)
    for path in FORMATS:
        app.router.add_post(path, handler.ask)
    app.router.add_post("/v1/messages/count_tokens", handler.count)
    app.router.add_get("/v1/models", handler.models)
    control.add_routes(app, model)
    app.router.add_route("*", "/{path:.*}", handler.unknown)
    return app


@asynccontextmanager
async def serving(
    model: Model, *, host: str = "127.0.0.1", port: int = 0, socket: Path | None = None
) -> AsyncIterator[str]:
    """Serve while the block runs; yields the URL. Port 0 takes a free one.

    With `socket` also there, for everybody who can reach its folder.
    """
    # A client that goes ends its answer, as at the original: otherwise a stalled one would stay for ever.
    runner = web.AppRunner(build(model), handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        if socket is not None:
            await web.UnixSite(runner, socket).start()
            socket.chmod(0o666)
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Handler:
    def __init__(self, model: Model) -> None:
        self._model = model

    async def ask(self, request: web.Request) -> web.StreamResponse:
        record, raw, form = await self._begin(request)
        try:
            if not self._model.knows(record.key):
                return self._refused(form, record, refusals.of_status(form.name, 401))
            asked = form.read(_object(raw), len(raw))
            return await Answering(self._model, form, record, asked).respond(request)
        except InvalidRequest as error:
            return self._refused(form, record, refusals.of_status(form.name, 400, message=str(error)))
        except (asyncio.CancelledError, ConnectionResetError) as error:
            record.state = "left"
            if isinstance(error, asyncio.CancelledError):
                raise
            return web.Response(status=499)

    async def count(self, request: web.Request) -> web.StreamResponse:
        record, raw, form = await self._begin(request)
        if not self._model.knows(record.key):
            return self._refused(form, record, refusals.of_status(form.name, 401))
        try:
            # A request for a count has no limit of the answer.
            asked = form.read({"max_tokens": 1} | _object(raw), len(raw))
        except InvalidRequest as error:
            return self._refused(form, record, refusals.of_status(form.name, 400, message=str(error)))
        record.model, record.state, record.status = asked.model, "answered", 200
        return web.json_response({"input_tokens": of_input(asked)}, headers=form.headers(None, record.number))

    async def models(self, request: web.Request) -> web.StreamResponse:
        record, _, form = await self._begin(request)
        if not self._model.knows(record.key):
            return self._refused(form, record, refusals.of_status(form.name, 401))
        record.state, record.status = "answered", 200
        rows = [{"id": name, "type": "model", "object": "model", "display_name": name} for name in _MODELS]
        return web.json_response({"object": "list", "data": rows, "has_more": False})

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        record, _, form = await self._begin(request)
        return self._refused(form, record, refusals.of_status(form.name, 404))

    async def _begin(self, request: web.Request) -> tuple[Record, bytes, Format]:
        raw = await request.read()
        form = _format(request)
        record = self._model.records.begin(
            form.name, request.path, _key(request), dict(request.headers), raw.decode(errors="replace")
        )
        return record, raw, form

    @staticmethod
    def _refused(form: Format, record: Record, refusal: Refusal) -> web.Response:
        record.state, record.status = "refused", refusal.status
        headers = form.headers(refusal, record.number)
        return web.json_response(form.error(refusal, record.number), status=refusal.status, headers=headers)


def _format(request: web.Request) -> Format:
    if (found := FORMATS.get(request.path)) is not None:
        return found
    is_anthropic = "anthropic-version" in request.headers or "messages" in request.path
    return FORMATS["/v1/messages" if is_anthropic else "/v1/chat/completions"]


def _key(request: web.Request) -> str:
    if key := request.headers.get("x-api-key"):
        return key
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _object(raw: bytes) -> Json:
    found: Any = None
    with contextlib.suppress(ValueError):
        found = json.loads(raw)
    if not isinstance(found, dict):
        raise InvalidRequest("The body is not a JSON object")
    return found
