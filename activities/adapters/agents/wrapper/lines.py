"""Lines of a program that may send anything: each bounded, those above the limit dropped."""

from __future__ import annotations

import asyncio

MAX_LINE = 16 * 1024 * 1024
_CHUNK = 64 * 1024


class Lines:
    """`too_long` counts what was dropped."""

    def __init__(self, stream: asyncio.StreamReader, limit: int = MAX_LINE) -> None:
        self._stream = stream
        self._limit = limit
        self._whole: list[bytes] = []
        self._rest = bytearray()
        self._dropping = False
        self.too_long = 0

    async def next(self) -> bytes | None:
        """The next line without its end; None after the last one."""
        while not self._whole:
            chunk = await self._stream.read(_CHUNK)
            if not chunk:
                last, self._rest = bytes(self._rest), bytearray()
                return last or None
            self._take(chunk)
        return self._whole.pop()

    def _take(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        found = []
        for part in ended:
            if not self._dropping:
                found.append(bytes(self._rest) + part)
            self._rest, self._dropping = bytearray(), False
        self._whole = found[::-1]
        if not self._dropping:
            self._rest += rest
        if len(self._rest) > self._limit:
            self._rest, self._dropping = bytearray(), True
            self.too_long += 1
