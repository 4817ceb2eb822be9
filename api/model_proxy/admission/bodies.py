"""The bodies of requests: how large one may be, and how much of them is in memory at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from starlette.datastructures import Headers
from starlette.types import Receive

MAX_BODY = 32_000_000
"""Bytes, as with the vendors."""
ALL_BODIES = 8 * MAX_BODY
OF_A_TURN = 2 * MAX_BODY
_READ_S = 60.0
_ROOM_S = 20.0
_DROP_S = 10.0


class TooLarge(Exception):
    """The body has more bytes than are taken."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class NoRoom(Exception):
    """Others have filled the memory for bodies, for longer than a request waits."""


class Gone(Exception):
    """The client has left before its request was read."""


class Upload:
    """The body of one request on its way."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        given = headers.get("content-length", "")
        self.size = int(given) if given.isdecimal() else None
        self._receive = receive
        self._is_over = False

    async def read(self) -> bytes:
        """The whole body. Raises TooLarge, TooSlow, Gone."""
        body = bytearray()
        try:
            async with asyncio.timeout(_READ_S):
                while not self._is_over:
                    body += await self._part()
                    if len(body) > MAX_BODY:
                        raise TooLarge
        except TimeoutError as error:
            raise TooSlow from error
        return bytes(body)

    async def drop(self) -> None:
        """Read what still comes and keep nothing: a client that still sends does not hear a refusal."""
        dropped = 0
        try:
            async with asyncio.timeout(_DROP_S):
                while not self._is_over and dropped <= 2 * MAX_BODY:
                    dropped += len(await self._part())
        except (TimeoutError, Gone):
            pass

    @property
    def is_over(self) -> bool:
        """Whether all of it was read: only then may its connection carry another request."""
        return self._is_over

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_over = True
            raise Gone
        self._is_over = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


class Bodies:
    """The memory for bodies, in bytes. It is taken before a body is read, and given back when its request is over."""

    def __init__(self, everything: int = ALL_BODIES, of_a_turn: int = OF_A_TURN) -> None:
        self._free = everything
        self._of_a_turn = of_a_turn
        self._held: Counter[Hashable] = Counter()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def read(self, turn: Hashable, upload: Upload) -> AsyncIterator[bytes]:
        """The whole body. Raises NoRoom, and what Upload.read does. Of unknown size it needs room for the largest."""
        size = MAX_BODY if upload.size is None else upload.size
        if size > MAX_BODY:
            raise TooLarge
        await self._take(turn, size)
        try:
            body = await upload.read()
            await self._give(turn, size - len(body))
            size = len(body)
            yield body
        finally:
            await asyncio.shield(self._give(turn, size))

    async def _take(self, turn: Hashable, size: int) -> None:
        try:
            async with asyncio.timeout(_ROOM_S), self._changed:
                await self._changed.wait_for(lambda: self._has(turn, size))
                self._free -= size
                self._held[turn] += size
        except TimeoutError as error:
            raise NoRoom from error

    def _has(self, turn: Hashable, size: int) -> bool:
        return size <= self._free and self._held[turn] + size <= self._of_a_turn

    async def _give(self, turn: Hashable, size: int) -> None:
        async with self._changed:
            self._free += size
            self._held[turn] -= size
            if self._held[turn] <= 0:
                del self._held[turn]
            self._changed.notify_all()
