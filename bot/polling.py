"""Long polling: the offset moves on only when everything before it has had its effect."""

import asyncio

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramConflictError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import Update

from bot.dispatcher import ALLOWED_UPDATES
from bot.inbox import Inbox

_POLL_S = 25
_REQUEST_S = 40
_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 10.0
_CONFLICT_PAUSE_S = 3.0

log = structlog.get_logger(__name__)


async def poll(bot: Bot, inbox: Inbox) -> None:
    """Poll until cancelled. Raises TelegramUnauthorizedError when the token is not valid any more."""
    offset: int | None = None
    pause = _FIRST_PAUSE_S
    while True:
        try:
            batch = await _fetch(bot, offset)
            pause = _FIRST_PAUSE_S
        except TelegramConflictError as error:
            log.error("somebody else receives this bot's updates; is a second bot running?", cause=error.message)
            await asyncio.sleep(_CONFLICT_PAUSE_S)
            continue
        except TelegramRetryAfter as error:
            await asyncio.sleep(error.retry_after)
            continue
        except (TelegramNetworkError, TelegramServerError) as error:
            log.warning("telegram does not answer", cause=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)
            continue
        await inbox.take_all(batch)
        if batch:
            offset = max(offset or 0, *(update.update_id + 1 for update in batch))


async def _fetch(bot: Bot, offset: int | None) -> list[Update]:
    return await bot.get_updates(
        offset=offset, timeout=_POLL_S, allowed_updates=ALLOWED_UPDATES, request_timeout=_REQUEST_S
    )
