"""Builds the bot and runs it beside its HTTP server."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramUnauthorizedError

from services.tg_bot import handlers, polling, server
from services.tg_bot.settings import Settings

log = logging.getLogger(__name__)


def create_dispatcher() -> Dispatcher:
    """Every handler module is found by itself. Once per process: a router has one parent."""
    dispatcher = Dispatcher()
    dispatcher.include_routers(*(module.router for module in handlers.modules()))
    return dispatcher


def create_bot(settings: Settings) -> Bot:
    api = TelegramAPIServer.from_base(settings.telegram_api_base)
    return Bot(settings.telegram_bot_token, session=AiohttpSession(api=api))


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (0) or until Telegram refuses the token (1)."""
    link = polling.Link()
    async with AsyncExitStack() as opened:
        task = asyncio.create_task(work(settings, link, opened))
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
        runner = await server.start(settings, link, task)
        opened.push_async_callback(runner.cleanup)
        try:
            await task
        except asyncio.CancelledError:
            log.info("stopped")
        except TelegramUnauthorizedError:
            log.error("Telegram refused TELEGRAM_BOT_TOKEN")
            return 1
    return 0


def work(
    settings: Settings, link: polling.Link, opened: AsyncExitStack
) -> Coroutine[None, None, None]:
    """What the bot does all the time; `opened` closes its connection."""
    if not settings.telegram_bot_token:
        log.error(server.NO_TOKEN)
        return polling.stand_by()
    bot = create_bot(settings)
    opened.push_async_callback(bot.session.close)
    bot.session.middleware(link.watch)
    return polling.stand_by() if settings.is_candidate else polling.poll(create_dispatcher(), bot)
