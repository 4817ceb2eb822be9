"""When work may begin: after those who still wait for the first sign that their message has arrived, and few at once.

A start costs the platform far more than writing a wish down. Were they all to begin at once, nobody would be told
"accepted" soon.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

_AT_ONCE = 2
_PATIENCE_S = 1.0


class Starts:
    """Work waits at most `patience_s` for others' first sign, so a chat that cannot be reached holds up none.

    Those that begin hold a slot until the platform has answered; while it hangs, all others hang with them.
    """

    def __init__(self, *, at_once: int = _AT_ONCE, patience_s: float = _PATIENCE_S) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._patience_s = patience_s
        self._expected = 0
        self._calm = asyncio.Event()
        self._calm.set()

    @contextlib.contextmanager
    def sign_expected(self) -> Iterator[None]:
        """Somebody waits for a first sign."""
        self._expected += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._expected -= 1
            if not self._expected:
                self._calm.set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        deadline = asyncio.get_running_loop().time() + self._patience_s
        async with self._slots:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._calm.wait()
            yield
