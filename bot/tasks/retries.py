"""Retries of calls to the platform's API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from contracts.errors import OrchestratorError

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 5.0

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


async def retry_while_unavailable(call: Callable[[], Awaitable[Result]]) -> Result:
    """Call until the platform answers. Errors that are not retryable are raised."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except OrchestratorError as error:
            if not error.retryable:
                raise
            log.warning("the platform does not answer; trying again", code=error.code.value)
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 2)
