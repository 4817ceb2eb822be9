"""The places of an account: how many requests its vendor answers at once, shared between turns."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Places:
    """A turn has at most half of the places, rounded up, also while others are free: an answer takes minutes, and
    whoever comes next must not wait for those of one turn.

    A place that becomes free goes to the turn that has the fewest, and among those to who has waited longest.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._share = (places + 1) // 2
        self._held: Counter[Hashable] = Counter()
        self._waiting: dict[asyncio.Future[None], Hashable] = {}

    @asynccontextmanager
    async def one(self, turn: Hashable) -> AsyncIterator[None]:
        """A place, once there is one. Who stops waiting has none, and gives on what has just become theirs."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place] = turn
        self._give()
        try:
            await place
            yield
        finally:
            if self._waiting.pop(place, None) is None:
                self._take_back(turn)
            self._give()

    def _take_back(self, turn: Hashable) -> None:
        self._free += 1
        self._held[turn] -= 1
        if not self._held[turn]:
            del self._held[turn]

    def _give(self) -> None:
        while self._free:
            # The order of a dict is that of arrival, and `min` takes the first of equals.
            able = [(place, turn) for place, turn in self._waiting.items() if self._held[turn] < self._share]
            if not able:
                return
            place, turn = min(able, key=lambda one: self._held[one[1]])
            del self._waiting[place]
            self._free -= 1
            self._held[turn] += 1
            if not place.cancelled():
                place.set_result(None)
