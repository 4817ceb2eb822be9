"""Polling that survives an unreachable Telegram."""

import asyncio
import logging
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.exceptions import TelegramNetworkError, TelegramRetryAfter, TelegramServerError
from aiogram.methods import TelegramMethod
from aiogram.types import User

log = logging.getLogger(__name__)

RETRY_S = 3.0


class Link:
    """Knows whether the last call to Telegram got through, and the bot's name there."""

    def __init__(self) -> None:
        self.up = False
        self.name: str | None = None

    async def watch(self, make_request: Any, bot: Bot, method: TelegramMethod[Any]) -> Any:
        try:
            answer = await make_request(bot, method)
        except (TelegramNetworkError, TelegramServerError):
            self.up = False
            raise
        self.up = True
        if isinstance(answer, User):
            self.name = answer.username
        return answer


async def stand_by() -> None:
    """Only be there: Telegram allows one poller, and a candidate runs beside the release that serves."""
    await asyncio.Event().wait()


async def poll(dispatcher: Dispatcher, bot: Bot) -> None:
    """Run until cancelled. The dispatcher retries while it polls; its first call is retried here."""
    while True:
        try:
            await dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False)
        except (TelegramNetworkError, TelegramServerError, TelegramRetryAfter) as error:
            log.warning("Telegram is unreachable, next try in %s s: %s", RETRY_S, error)
            await asyncio.sleep(RETRY_S)
