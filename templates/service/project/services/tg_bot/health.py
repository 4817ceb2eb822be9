"""GET /health: 200 as long as the polling task lives, even while Telegram is unreachable."""

import asyncio
import json
from functools import partial

from aiohttp import web

from services.tg_bot.polling import Link
from services.tg_bot.settings import Settings

compact = partial(json.dumps, separators=(",", ":"))


def create_app(settings: Settings, link: Link, task: "asyncio.Task[None]") -> web.Application:
    async def health(request: web.Request) -> web.Response:
        alive = not task.done()
        body = {
            "status": "ok" if alive else "stopped",
            "service": settings.app_name,
            "release": settings.release_id,
            "polling": alive and link.up,
        }
        return web.json_response(body, status=200 if alive else 503, dumps=compact)

    app = web.Application()
    app.router.add_get("/health", health)
    return app


async def start(settings: Settings, link: Link, task: "asyncio.Task[None]") -> web.AppRunner:
    runner = web.AppRunner(create_app(settings, link, task))
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    return runner
