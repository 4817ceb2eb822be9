"""When the next message may go to a chat: about one a second, fewer in groups, and never while Telegram says wait."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PRIVATE_S = 1.05
_GROUP_S = 3.1
_ALL_S = 1 / 25
"""Telegram speaks of one message a second in a chat, twenty a minute in a group and thirty a second in all."""


class Pace:
    """`turn` serves a chat's callers in the order in which they came."""

    def __init__(self, *, private_s: float = _PRIVATE_S, group_s: float = _GROUP_S, all_s: float = _ALL_S) -> None:
        self._private_s, self._group_s, self._all_s = private_s, group_s, all_s
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._free_at: dict[int, float] = {}
        self._told_to_wait: dict[int, float] = {}
        self._all_free_at = 0.0

    @asynccontextmanager
    async def turn(self, chat_id: int) -> AsyncIterator[None]:
        """The chat's next slot; whatever is sent is decided inside, so that it is the newest."""
        async with self._turns[chat_id]:
            await self._until(max(self._free_at.get(chat_id, 0.0), self._told_to_wait.get(chat_id, 0.0)))
            await self._until(self._slot_of_all())
            try:
                yield
            finally:
                self._spent(chat_id)

    @asynccontextmanager
    async def urgent(self, chat_id: int) -> AsyncIterator[None]:
        """For what a person waits for: it does not queue behind edits, and does not shorten their pause."""
        await self._until(self._told_to_wait.get(chat_id, 0.0))
        try:
            yield
        finally:
            self._spent(chat_id)

    def wait(self, chat_id: int, seconds: float) -> None:
        """Telegram has said for how long nothing may be sent there."""
        self._told_to_wait[chat_id] = asyncio.get_running_loop().time() + seconds

    def _spent(self, chat_id: int) -> None:
        interval = self._private_s if chat_id > 0 else self._group_s
        self._free_at[chat_id] = asyncio.get_running_loop().time() + interval

    def _slot_of_all(self) -> float:
        self._all_free_at = max(self._all_free_at, asyncio.get_running_loop().time()) + self._all_s
        return self._all_free_at - self._all_s

    @staticmethod
    async def _until(moment: float) -> None:
        left = moment - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
