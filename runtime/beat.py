"""A file by which a process says that it still works: a process that is stopped or stuck exists, and does nothing."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

BEAT_S = 5.0
QUIET_S = 20.0
"""Without a beat for this long, people are told."""

HUNG_S = 45.0
"""Without a beat for this long, the process is ended, and started again: a busy machine is no reason for that."""


async def beat(file: Path) -> None:
    """Beat until cancelled. The event loop must run for that, as for everything else of the process."""
    while True:
        # A full disk, or a file that is being removed, is no reason to seem dead.
        with contextlib.suppress(OSError):
            os.utime(file)
        await asyncio.sleep(BEAT_S)


def quiet_for(file: Path) -> float | None:
    """Seconds since the last beat, by the clock on the wall; None without a file."""
    beaten = _beaten(file)
    return None if beaten is None else max(0.0, time.time() - beaten)


async def until_hung(
    file: Path, *, hung_s: float = HUNG_S, look_s: float = BEAT_S, clock: Callable[[], float] = time.monotonic
) -> None:
    """Return once the beat has stopped for `hung_s`. Sleep of the machine does not count, nor does a missing file."""
    last, since = _beaten(file), clock()
    while last is None or clock() - since < hung_s:
        await asyncio.sleep(look_s)
        if (beaten := _beaten(file)) != last:
            last, since = beaten, clock()


def _beaten(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None
