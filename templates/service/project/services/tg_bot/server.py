"""What the bot answers over HTTP: GET / says what it is, GET /health whether it can work."""

import asyncio
import json
from functools import partial

from aiohttp import web

from services.tg_bot.polling import Link
from services.tg_bot.settings import Settings

NO_TOKEN = "TELEGRAM_BOT_TOKEN is not set: get a token from BotFather in Telegram and set it"

compact = partial(json.dumps, separators=(",", ":"))


def create_app(settings: Settings, link: Link, task: "asyncio.Task[None]") -> web.Application:
    async def index(request: web.Request) -> web.Response:
        what = "a Telegram bot. Send it /start" if settings.telegram_bot_token else NO_TOKEN
        return web.Response(text=f"{settings.app_name}: {what}.\n")

    async def health(request: web.Request) -> web.Response:
        """200 as long as the polling task lives, even while Telegram is unreachable."""
        alive = not task.done()
        status = "stopped" if not alive else "ok" if settings.telegram_bot_token else "no token"
        body = {
            "status": status,
            "service": settings.app_name,
            "release": settings.release_id,
            "polling": alive and link.up,
            "bot": link.name,
        }
        return web.json_response(body, status=200 if status == "ok" else 503, dumps=compact)

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/health", health)
    return app


async def start(settings: Settings, link: Link, task: "asyncio.Task[None]") -> web.AppRunner:
    runner = web.AppRunner(create_app(settings, link, task))
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    return runner
