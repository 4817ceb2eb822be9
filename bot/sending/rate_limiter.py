"""Rate limits of the Bot API: when the next message may go to a chat.

Telegram advises at most one message a second per chat, twenty a minute per group and thirty a second in total. A 429
pauses the chat for the seconds that it names.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PRIVATE_S = 1.05
_GROUP_S = 3.1
_TOTAL_S = 1 / 25


class RateLimiter:
    """Seconds between two messages: to a private chat, to a group, and in total."""

    def __init__(self, *, private_s: float = _PRIVATE_S, group_s: float = _GROUP_S, total_s: float = _TOTAL_S) -> None:
        self._private_s, self._group_s, self._total_s = private_s, group_s, total_s
        self._queues: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._free_at: dict[int, float] = {}
        self._paused_until: dict[int, float] = {}
        self._total_free_at = 0.0

    @asynccontextmanager
    async def slot(self, chat_id: int) -> AsyncIterator[None]:
        """Wait for the chat's next slot, first come first served. Decide inside the block what to send."""
        async with self._queues[chat_id]:
            await self._sleep_until(max(self._free_at.get(chat_id, 0.0), self._paused_until.get(chat_id, 0.0)))
            await self._sleep_until(self._next_total_slot())
            try:
                yield
            finally:
                self._use_slot(chat_id)

    @asynccontextmanager
    async def urgent(self, chat_id: int) -> AsyncIterator[None]:
        """For messages that a person is waiting for: skip the queue of edits, respect only Telegram's pause."""
        await self._sleep_until(self._paused_until.get(chat_id, 0.0))
        try:
            yield
        finally:
            self._use_slot(chat_id)

    def pause(self, chat_id: int, seconds: float) -> None:
        """Send nothing to the chat for so long, as Telegram's 429 demands."""
        self._paused_until[chat_id] = asyncio.get_running_loop().time() + seconds

    def _use_slot(self, chat_id: int) -> None:
        interval = self._private_s if chat_id > 0 else self._group_s
        self._free_at[chat_id] = asyncio.get_running_loop().time() + interval

    def _next_total_slot(self) -> float:
        self._total_free_at = max(self._total_free_at, asyncio.get_running_loop().time()) + self._total_s
        return self._total_free_at - self._total_s

    @staticmethod
    async def _sleep_until(moment: float) -> None:
        left = moment - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
