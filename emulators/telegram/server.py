"""The HTTP server: `/bot<token>/<method>` in every encoding that Telegram accepts, with planned faults."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from emulators.telegram import control, methods, parameters
from emulators.telegram.errors import ApiError
from emulators.telegram.faults import Fault, Kind
from emulators.telegram.telegram import Telegram


def build(telegram: Telegram) -> web.Application:
    """The Bot API of one emulated Telegram, and the actions of its users under `/emulator`."""
    app = web.Application()
    app.router.add_route("*", r"/bot{token:[^/]+}/{method}", _Handler(telegram).handle)
    control.add_routes(app, telegram)

    async def close(_app: web.Application) -> None:
        await telegram.webhook.close()

    app.on_cleanup.append(close)
    return app


@asynccontextmanager
async def serving(telegram: Telegram, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs; yields the URL. Port 0 takes a free one."""
    # Cancel the handler when a bot is killed during a long poll, so that it does not count as polling.
    runner = web.AppRunner(build(telegram), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Handler:
    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            return await self._handled(request, name)
        except ApiError as error:
            self._telegram.refusals.append((name, error.description))
            return _reply(error.document(), error.code)

    async def _handled(self, request: web.Request, name: str) -> web.StreamResponse:
        if request.match_info["token"] != self._telegram.token:
            raise ApiError(401, "Unauthorized")
        model = parameters.SPECIFICATION.get(name.lower())
        if model is None:
            raise ApiError(404, "Not Found: method not found")
        values = await parameters.read(request)
        name = model.__api_method__
        self._telegram.calls.append((name, time.monotonic()))
        fault = self._telegram.faults.next(name)
        if fault is not None and (early := await self._before(request, fault)) is not None:
            return early
        result = await methods.call(self._telegram, parameters.checked(name, values))
        if fault is not None and fault.kind is Kind.DROP_AFTER:
            return _cut(request)
        if fault is not None and fault.kind is Kind.STRANGE and isinstance(result, dict):
            result = {**result, "forward_origin": {"type": "of-a-later-version"}}
        return _reply({"ok": True, "result": result}, 200)

    async def _before(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        """The response of a fault that strikes before the effect."""
        if (error := fault.error()) is not None:
            raise error
        if fault.kind is Kind.DELAY:
            await asyncio.sleep(fault.seconds)
        if fault.kind is Kind.PAGE:
            page = f"<html><body><h1>{fault.code} {fault.description}</h1></body></html>"
            return web.Response(text=page, status=fault.code, content_type="text/html")
        return _cut(request) if fault.kind is Kind.DROP_BEFORE else None


def _cut(request: web.Request) -> web.StreamResponse:
    """Close the connection without a response."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def _reply(body: dict[str, Any], status: int) -> web.Response:
    return web.Response(text=json.dumps(body, ensure_ascii=False), status=status, content_type="application/json")
