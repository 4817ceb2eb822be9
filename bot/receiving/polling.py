"""Long polling. The offset moves on only after every update before it has been handled, or cannot be read."""

import asyncio
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramConflictError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)

from bot.receiving.decoding import Decoder, GetRawUpdates, update_id
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
    decoder = Decoder(bot)
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
        await inbox.handle_all(update for raw in batch if (update := decoder.update(raw)) is not None)
        numbers = [number + 1 for raw in batch if (number := update_id(raw)) is not None]
        offset = max([offset or 0, *numbers]) or None
        if batch and not numbers:
            # Nothing can be confirmed, so the same comes again.
            await asyncio.sleep(_LONGEST_PAUSE_S)


async def _fetch(bot: Bot, offset: int | None) -> list[Any]:
    wanted = GetRawUpdates(offset=offset, timeout=_POLL_S, allowed_updates=ALLOWED_UPDATES)
    return await bot(wanted, request_timeout=_REQUEST_TIMEOUT_S)
