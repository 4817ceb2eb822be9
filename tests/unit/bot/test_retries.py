"""Calls of the platform are repeated while it is unavailable."""

import pytest

from bot.tasks import retries
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError


def _failure(kind: ErrorClass) -> OrchestratorError:
    return OrchestratorError(ErrorCode.API_UNREACHABLE, "no answer", error_class=kind)


async def test_a_call_that_is_no_coroutine_function_is_awaited_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.01)
    failures = [_failure(ErrorClass.TRANSIENT), _failure(ErrorClass.TRANSIENT)]

    async def answer() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await retries.retry_while_unavailable(lambda: answer()) == "done"
    assert failures == []


async def test_an_error_that_is_not_temporary_is_raised_as_it_is() -> None:
    async def answer() -> str:
        raise _failure(ErrorClass.PERMANENT)

    with pytest.raises(OrchestratorError, match="no answer"):
        await retries.retry_while_unavailable(answer)
