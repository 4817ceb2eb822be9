"""Long polling. The offset moves on only after every update before it has been handled."""

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

from bot.receiving.inbox import ALLOWED_UPDATES, Inbox

_POLL_S = 25
_REQUEST_TIMEOUT_S = 40
_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 10.0
_CONFLICT_PAUSE_S = 3.0

log = structlog.get_logger(__name__)


async def poll(bot: Bot, inbox: Inbox) -> None:
    """Poll until cancelled. Raises TelegramUnauthorizedError if the token becomes invalid."""
    offset: int | None = None
    pause = _FIRST_PAUSE_S
    while True:
        try:
            batch = await _fetch(bot, offset)
            pause = _FIRST_PAUSE_S
        except TelegramConflictError as error:
            log.error("another process receives this bot's updates; is a second bot running?", cause=error.message)
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
        await inbox.handle_all(batch)
        if batch:
            offset = max(offset or 0, *(update.update_id + 1 for update in batch))


async def _fetch(bot: Bot, offset: int | None) -> list[Update]:
    return await bot.get_updates(
        offset=offset, timeout=_POLL_S, allowed_updates=ALLOWED_UPDATES, request_timeout=_REQUEST_TIMEOUT_S
    )
