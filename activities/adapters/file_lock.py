"""One holder at a time for a named thing on this machine; a holder that is killed lets go."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def file_lock(path: Path) -> AsyncIterator[None]:
    """Hold `path` (made when absent, never removed). The event loop is free while it waits."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    waiting = asyncio.ensure_future(asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX))
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        # The thread still waits for the lock; whenever it gets it, nobody wants it any more.
        waiting.add_done_callback(lambda _: os.close(descriptor))
        raise
    try:
        yield
    finally:
        os.close(descriptor)
