"""How often a failed step is tried again, and after how long: by the class of its error, and by nothing else."""

import asyncio
import dataclasses
import errno
from collections.abc import Sequence

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from contracts.errors import SERVER_PATIENCE_S, ErrorClass, ErrorCode, OrchestratorError
from workers import interceptors
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


AWAY = OrchestratorError(ErrorCode.API_UNREACHABLE, "away", error_class=ErrorClass.TRANSIENT)
LOCKED = OrchestratorError(ErrorCode.GIT_FAILED, "a lock", error_class=ErrorClass.TRANSIENT)
NO_SERVER = OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, "The server docker does not answer.")


class Failures(ActivityInboundInterceptor):
    """A step that ends each time with the next of these errors."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self._errors = list(errors)

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        raise self._errors.pop(0)


async def tried_again(errors: Sequence[Exception]) -> list[bool]:
    translating = ErrorTranslation().intercept_activity(Failures(errors))
    step = ExecuteActivityInput(fn=delays, args=[], executor=None, headers={})
    told = []
    for _ in errors:
        with pytest.raises(ApplicationError) as failed:
            await ActivityEnvironment().run(translating.execute_activity, step)
        told.append(not failed.value.non_retryable)
    return told


@pytest.mark.parametrize("outage", [AWAY, NO_SERVER], ids=["a part of ours", "a server"])
async def test_being_away_uses_up_none_of_the_retries_of_a_failure(outage: OrchestratorError) -> None:
    assert await tried_again([*[outage] * 20, LOCKED, LOCKED, LOCKED, LOCKED]) == [*[True] * 23, False]
    assert await tried_again([LOCKED, *[outage] * 20, LOCKED, LOCKED, LOCKED]) == [*[True] * 23, False]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_waited_for_whatever_step_meets_it(number: int) -> None:
    full = OSError(number, "No space left on device", "/home/agents/workspaces/w1")
    assert await tried_again([*[full] * 6, LOCKED, LOCKED, LOCKED, LOCKED]) == [*[True] * 9, False]
    assert await tried_again([OSError(errno.EIO, "Input/output error")] * 4) == [True, True, True, False]


async def test_a_server_is_waited_for_during_minutes_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(interceptors.time, "monotonic", lambda: now)
    translating = ErrorTranslation().intercept_activity(Failing(NO_SERVER))
    step = ExecuteActivityInput(fn=delays, args=[], executor=None, headers={})
    while True:
        with pytest.raises(ApplicationError) as failed:
            await ActivityEnvironment().run(translating.execute_activity, step)
        if failed.value.non_retryable:
            break
        assert failed.value.next_retry_delay is not None
        now += failed.value.next_retry_delay.total_seconds()
    assert SERVER_PATIENCE_S < now < SERVER_PATIENCE_S + 15
    assert "15 minutes" in failed.value.message
    assert failed.value.type == ErrorCode.SERVER_UNREACHABLE


async def test_whoever_asks_for_a_longer_pause_gets_it() -> None:
    error = OrchestratorError(
        ErrorCode.GIT_FAILED, "limits", error_class=ErrorClass.UPSTREAM, details={"retry_after_s": 300}
    )
    assert await delays(error, 1) == [300]
