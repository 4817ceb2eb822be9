"""Nothing enters a workflow but through what an activity returns or raises: there text from outside is cleaned."""

import pytest
from structlog.testing import capture_logs
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from contracts.errors import ErrorCode, OrchestratorError
from contracts.outside_text import REPLACEMENT
from contracts.steps import ReleaseOutcome
from runtime.temporal.converter import BoundedFailureConverter
from workers.interceptors import ErrorTranslation

# What git says of a loose object that is missing, as it was seen: the rest of its buffer follows.
NUL = "error: unable to read sha1 file of a\x00b"
CLEAN = f"error: unable to read sha1 file of a{REPLACEMENT}b"


class Step(ActivityInboundInterceptor):
    def __init__(self, ending: object) -> None:
        self._ending = ending

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        if isinstance(self._ending, Exception):
            raise self._ending
        return self._ending


async def ended(ending: object) -> object:
    translating = ErrorTranslation().intercept_activity(Step(ending))
    step = ExecuteActivityInput(fn=ended, args=[], executor=None, headers={})
    return await ActivityEnvironment().run(translating.execute_activity, step)


@pytest.mark.parametrize("result", [{"error": NUL, "paths": [NUL]}, {"error": None, NUL: {"deep": (NUL,)}}])
async def test_a_graphs_node_returns_clean_text(result: object) -> None:
    assert NUL not in repr(await ended(result)).replace("\\x00", "\x00")


async def test_a_model_is_returned_clean() -> None:
    outcome = await ended(ReleaseOutcome(ok=False, error=NUL))
    assert outcome == ReleaseOutcome(ok=False, error=CLEAN)


@pytest.mark.parametrize(
    "error",
    [OrchestratorError(ErrorCode.GIT_FAILED, NUL, details={"stderr": NUL}), ValueError(NUL)],
    ids=["expected", "unexpected"],
)
async def test_an_error_is_told_in_clean_words(error: Exception) -> None:
    with pytest.raises(ApplicationError) as failed:
        await ended(error)
    assert CLEAN in failed.value.message
    assert "\x00" not in repr(failed.value.details).replace("\\x00", "\x00")


@pytest.mark.parametrize("half", [0xD800, 0xDFFF], ids=["high", "low"])
async def test_a_bug_whose_words_hold_half_a_character_is_told_with_its_code_and_bound(half: int) -> None:
    """Otherwise Temporal is told neither, and tries again without end."""
    with capture_logs(), pytest.raises(ApplicationError) as failed:
        await ended(ValueError(f"cannot read a{chr(half)}b"))
    assert failed.value.__cause__ is not None
    told = Failure()
    BoundedFailureConverter().to_failure(failed.value, PydanticPayloadConverter(), told)
    assert told.application_failure_info.type == ErrorCode.INTERNAL
    assert told.cause.application_failure_info.type == "ValueError"
    assert "cannot read" in str(told.cause.encoded_attributes.data)
