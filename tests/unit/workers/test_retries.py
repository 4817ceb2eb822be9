"""How often a failed step is tried again, and after how long: by the class of its error, and by nothing else."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from workers.interceptors import ErrorTranslation


class Failing(ActivityInboundInterceptor):
    """A step that ends with the same error every time."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        raise self._error


async def delays(error: Exception, attempts: int) -> list[float | None]:
    """Seconds until each next try, as the server is told them; None where there is to be none."""
    translating = ErrorTranslation().intercept_activity(Failing(error))
    step = ExecuteActivityInput(fn=delays, args=[], executor=None, headers={})
    told: list[float | None] = []
    for _ in range(attempts):
        with pytest.raises(ApplicationError) as failed:
            await ActivityEnvironment().run(translating.execute_activity, step)
        delay = failed.value.next_retry_delay
        assert failed.value.non_retryable == (delay is None)
        told.append(delay.total_seconds() if delay else None)
    return told


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (OrchestratorError(ErrorCode.GIT_FAILED, "a lock", error_class=ErrorClass.TRANSIENT), [1, 2, 4, None]),
        (OrchestratorError(ErrorCode.GIT_FAILED, "limits", error_class=ErrorClass.UPSTREAM), [5, 10, 20, 60, 60, None]),
        (OrchestratorError(ErrorCode.GIT_FAILED, "no such branch"), [None]),
        (OrchestratorError(ErrorCode.API_UNREACHABLE, "away"), [*range(1, 11), *[10] * 90]),
        (ZeroDivisionError("a bug"), [1, 2, 4, None]),
    ],
    ids=["passing", "of others", "lasting", "part of the platform is unavailable", "unexpected"],
)
async def test_a_failed_step_is_tried_again_as_often_as_can_help(
    error: Exception, wanted: Sequence[int | None]
) -> None:
    told = await delays(error, len(wanted))
    assert told == [pytest.approx(seconds, rel=0.21) if seconds else None for seconds in wanted]


class Endless(ActivityInboundInterceptor):
    """A step that Temporal gives up: it never ends, or blocks its own heartbeat."""

    def __init__(self) -> None:
        self.begun = 0

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        self.begun += 1
        raise asyncio.CancelledError


async def test_a_step_that_is_given_up_again_and_again_ends_with_words() -> None:
    endless, memory = Endless(), ErrorTranslation()
    step = ExecuteActivityInput(fn=delays, args=[], executor=None, headers={})
    for attempt in range(1, 30):
        place = ActivityEnvironment()
        place.info = dataclasses.replace(place.info, attempt=attempt)
        with pytest.raises((asyncio.CancelledError, ApplicationError)) as ended:
            await place.run(memory.intercept_activity(endless).execute_activity, step)
        if isinstance(ended.value, ApplicationError):
            break
    assert isinstance(ended.value, ApplicationError)
    assert (ended.value.type, ended.value.non_retryable) == ("INTERNAL", True)
    assert endless.begun == 20


async def test_attempts_that_end_with_their_temporal_worker_are_not_counted() -> None:
    endless = Endless()
    step = ExecuteActivityInput(fn=delays, args=[], executor=None, headers={})
    for attempt in range(1, 60):
        place = ActivityEnvironment()
        place.info = dataclasses.replace(place.info, attempt=attempt)
        with pytest.raises(asyncio.CancelledError):
            await place.run(ErrorTranslation().intercept_activity(endless).execute_activity, step)
    assert endless.begun == 59


async def test_whoever_asks_for_a_longer_pause_gets_it() -> None:
    error = OrchestratorError(
        ErrorCode.GIT_FAILED, "limits", error_class=ErrorClass.UPSTREAM, details={"retry_after_s": 300}
    )
    assert await delays(error, 1) == [300]
