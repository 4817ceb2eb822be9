"""Builds the bot and runs it beside its health server."""

import asyncio
import logging
import signal

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramUnauthorizedError

from services.tg_bot import handlers, health, polling
from services.tg_bot.settings import Settings

log = logging.getLogger(__name__)


def create_dispatcher() -> Dispatcher:
    """Every handler module is found by itself. Once per process: a router has one parent."""
    dispatcher = Dispatcher()
    dispatcher.include_routers(*(module.router for module in handlers.modules()))
    return dispatcher


def create_bot(settings: Settings) -> Bot:
    server = TelegramAPIServer.from_base(settings.telegram_api)
    return Bot(settings.token, session=AiohttpSession(api=server))


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (0) or until Telegram refuses the token (1)."""
    bot = create_bot(settings)
    link = polling.Link()
    bot.session.middleware(link.watch)
    poll = polling.stand_by() if settings.is_candidate else polling.poll(create_dispatcher(), bot)
    task = asyncio.create_task(poll)
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    server = await health.start(settings, link, task)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
    except TelegramUnauthorizedError:
        log.error("Telegram refused TELEGRAM_BOT_TOKEN")
        return 1
    finally:
        await server.cleanup()
        await bot.session.close()
    return 0
