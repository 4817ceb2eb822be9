"""How long tests wait at most: in one place, and longer where the machine is slower.

A test names the seconds that something takes at most on a quiet machine with two cores. `patience` makes of them when
to give up; only a test that is red waits so long. TEST_PATIENCE sets the factor by hand.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable
from functools import cache
from typing import TypeVar

T = TypeVar("T")

RESERVE = 3.0
"""A machine that becomes three times slower in the middle of a run turns no test red."""
_LONGEST = 20.0
_QUIET_S = 0.16
"""What `_work` takes on such a machine."""


def patience(seconds: float) -> float:
    """When to give up waiting for what takes at most `seconds` on a quiet machine."""
    return seconds * RESERVE * slowness()


def promised(seconds: float) -> float:
    """A promise of the product for a machine that keeps up, on this one: no reserve, but not more than it can do."""
    return seconds * slowness()


async def within(awaitable: Awaitable[T], seconds: float) -> T:
    """The result; TimeoutError after `patience(seconds)`."""
    async with asyncio.timeout(patience(seconds)):
        return await awaitable


@cache
def slowness() -> float:
    """How many times slower this machine is than a quiet one with two cores, at least 1; measured at the first use."""
    if given := os.environ.get("TEST_PATIENCE"):
        return max(1.0, float(given))
    return min(_LONGEST, max(1.0, min(_work(), _work()) / _QUIET_S))


def _work() -> float:
    """Seconds on the wall for a fixed piece of work: a processor that others use as well takes longer."""
    began = time.monotonic()
    hashlib.pbkdf2_hmac("sha256", b"work", b"salt", 200_000)
    return time.monotonic() - began
