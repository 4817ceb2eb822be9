"""Wait for a fact instead of for an amount of time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.support.patience import patience

T = TypeVar("T")


async def eventually(
    predicate: Callable[[], T | Awaitable[T]],
    timeout: float = 10.0,
    *,
    interval: float = 0.05,
    message: str = "",
) -> T:
    """Return the first truthy value of `predicate` (plain or async), asked every `interval` seconds.

    An AssertionError inside the predicate counts as "not yet". `timeout` is in seconds of a quiet machine: after
    `patience(timeout)` the test fails with `message`, the last value and the last assertion.
    """
    clock = asyncio.get_running_loop().time
    longest = patience(timeout)
    deadline = clock() + longest
    value: object = None
    while True:
        refusal: AssertionError | None = None
        try:
            answer = predicate()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
        except AssertionError as error:
            refusal = error
        if clock() >= deadline:
            what = message or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{what} did not hold within {longest:.0f} s; last value: {value!r}") from refusal
        await asyncio.sleep(interval)
