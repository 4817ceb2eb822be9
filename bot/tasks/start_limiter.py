"""Limits how many deliveries start at the same time, and lets acknowledgements go first.

Starting a delivery costs the platform far more than recording a wish. If many people write at once and all deliveries
started immediately, everyone would wait for their "accepted".
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

_CONCURRENCY = 2
_MAX_WAIT_S = 1.0


class StartLimiter:
    """A start waits at most `max_wait_s` for pending acknowledgements, so an unreachable chat does not block others.

    A start holds its slot until the platform has answered; if that call hangs, the other starts wait.
    """

    def __init__(self, *, concurrency: int = _CONCURRENCY, max_wait_s: float = _MAX_WAIT_S) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._max_wait_s = max_wait_s
        self._pending = 0
        self._none_pending = asyncio.Event()
        self._none_pending.set()

    @contextlib.contextmanager
    def acknowledgement_pending(self) -> Iterator[None]:
        """While the block runs, a person is waiting for an acknowledgement."""
        self._pending += 1
        self._none_pending.clear()
        try:
            yield
        finally:
            self._pending -= 1
            if not self._pending:
                self._none_pending.set()

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for permission to start, and hold one of the slots while the block runs."""
        deadline = asyncio.get_running_loop().time() + self._max_wait_s
        async with self._slots:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._none_pending.wait()
            yield
