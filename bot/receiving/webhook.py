"""The webhook. 200 means that the update was handled; after any other status Telegram sends it again."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import structlog
from aiogram import Bot
from aiohttp import web

from bot.receiving.decoding import Decoder, update_id
from bot.receiving.inbox import Inbox

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_TIMEOUT_S = 30.0
_MAX_BODY_BYTES = 1_000_000

log = structlog.get_logger(__name__)


@asynccontextmanager
async def listening(bot: Bot, inbox: Inbox, *, url: str, secret: str, host: str, port: int) -> AsyncIterator[str]:
    """Listen on the path of `url`, behind a proxy that has the certificate; yields the local address."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    path = urlparse(url).path or "/"
    app.router.add_post(path, _Receiver(bot, inbox, secret).receive)
    app.router.add_get("/healthz", _health)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}{path}"
    finally:
        await runner.cleanup()


class _Receiver:
    def __init__(self, bot: Bot, inbox: Inbox, secret: str) -> None:
        self._decoder = Decoder(bot)
        self._inbox = inbox
        self._secret = secret

    async def receive(self, request: web.Request) -> web.Response:
        secret = request.headers.get(SECRET_HEADER, "")
        if not secrets.compare_digest(secret.encode(), self._secret.encode()):
            return web.Response(status=401)
        try:
            raw = await request.json()
        except ValueError:
            return web.Response(status=400)
        if update_id(raw) is None:
            log.warning("this is not an update")
            return web.Response(status=400)
        update = self._decoder.update(raw)
        if update is None:
            # Confirmed all the same: Telegram would send it again and again.
            return web.Response()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._inbox.handle(update)
        except TimeoutError:
            return web.Response(status=503)
        return web.Response()


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
