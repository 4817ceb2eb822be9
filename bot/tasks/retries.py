"""Retries of calls to the platform's API."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from contracts.errors import OrchestratorError

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 5.0

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


async def retry_while_unavailable(call: Callable[[], Awaitable[Result]]) -> Result:
    """Call until the platform answers. Errors that are not retryable are raised."""
    tries = AsyncRetrying(
        retry=retry_if_exception(_is_temporary),
        wait=wait_exponential(_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        before_sleep=_log_retry,
    )

    async def once() -> Result:
        # tenacity awaits only what is a coroutine function, and many callers pass a lambda.
        return await call()

    return await tries(once)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError) and error.retryable


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    code = error.code.value if isinstance(error, OrchestratorError) else None
    log.warning("the platform does not answer; trying again", code=code)
