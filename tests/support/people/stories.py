"""Stories run side by side, each once for the whole session, beginning with the first test."""

import asyncio
from collections.abc import Iterable

from tests.support.people.scenarios import SCENARIOS
from tests.support.people.story import Story
from tests.support.stack import Stack

AT_ONCE = 2
"""Other tests are at work beside them: more do not end earlier on two cores."""


class Stories:
    def __init__(self, stack: Stack, names: Iterable[str]) -> None:
        self._stack = stack
        self._gate = asyncio.Semaphore(AT_ONCE)
        wanted = set(names)
        # The longest are last in the list: starting with them ends earliest.
        longest_first = [name for name in reversed(SCENARIOS) if name in wanted]
        self._running = {name: asyncio.create_task(self._tell(name)) for name in longest_first}

    async def _tell(self, name: str) -> Story:
        async with self._gate:
            return await SCENARIOS[name](self._stack)

    async def get(self, name: str) -> Story:
        """The story once it has been told; raises what it failed with."""
        return await asyncio.shield(self._running[name])

    async def told(self) -> None:
        """Return when all stories have ended, however they ended: their own tests judge that."""
        if self._running:
            await asyncio.wait(self._running.values())

    async def close(self) -> None:
        """Stop stories that no test needs."""
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
