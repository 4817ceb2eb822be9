"""Stories run side by side, each once for the whole session, from when the first is asked for or somebody begins."""

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
        self._wanted = set(names)
        self._running: dict[str, asyncio.Task[Story]] = {}

    def begin(self) -> None:
        """Have all of them told, beside whatever else is done."""
        if not self._running:
            # The longest are last in the list: starting with them ends earliest.
            longest_first = [name for name in reversed(SCENARIOS) if name in self._wanted]
            self._running = {name: asyncio.create_task(self._tell(name)) for name in longest_first}

    async def _tell(self, name: str) -> Story:
        async with self._gate:
            return await SCENARIOS[name](self._stack)

    async def get(self, name: str) -> Story:
        """The story once it has been told; raises what it failed with."""
        self.begin()
        return await asyncio.shield(self._running[name])

    async def told(self) -> None:
        """Return when all stories that have begun have ended, however they ended: their own tests judge that."""
        if self._running:
            await asyncio.wait(self._running.values())

    async def close(self) -> None:
        """Stop stories that no test needs."""
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
