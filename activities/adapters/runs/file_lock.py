"""One holder at a time for a named thing on this machine; a holder that is killed lets go."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.02


@asynccontextmanager
async def file_lock(path: Path) -> AsyncIterator[None]:
    """Hold `path` (made when absent, never removed). The event loop is free while it waits."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Looks instead of waiting in a thread: enough waiters would leave no thread for the work of the holder.
        while not _taken(descriptor):  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def machine_lock(name: str) -> AbstractAsyncContextManager[None]:
    """For what all installations of this user on this machine share."""
    return file_lock(Path(tempfile.gettempdir(), f"codegen-orchestrator-{os.getuid()}", f"{name}.lock"))


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
