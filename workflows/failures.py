"""Reading failures: what went wrong, in words and as a code, from under Temporal's wrappers."""

import asyncio

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TimeoutError,
    is_cancelled_exception,
)

from contracts.errors import MAX_MESSAGE, ErrorCode, bounded

ENDINGS = (FailureError, asyncio.CancelledError, ValidationError)
"""How a workflow's work can end early; a value that fits no contract is one of them.

Anything else is a bug in our code: the workflow task is retried until a fixed build replays it, and nothing is lost.
"""
_DECLINED = "plan"


def stop_if_cancelled() -> None:
    """Stop if a cancel came at the moment when a step ended: the step swallows it, and the next step must not begin."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


def root_cause(error: BaseException) -> BaseException:
    """The failure under `ActivityError` and `ChildWorkflowError`, whose own text says nothing."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def is_cancellation(error: BaseException) -> bool:
    """Whether the work ended because it was cancelled, whether or not the activity noticed."""
    return is_cancelled_exception(error) or cancelled_unheard(error)


def cancelled_unheard(error: BaseException) -> bool:
    """Whether a cancel met a step whose Temporal worker was dead, or whose next attempt had not begun.

    Temporal does not try such a step again, so what it started outside still runs.
    """
    if workflow.cancellation_reason() is None:
        return False
    step: BaseException | None = error
    while isinstance(step, ActivityError | ChildWorkflowError):
        if isinstance(step, ActivityError):
            never_begun = isinstance(step.cause, CancelledError) and step.started_event_id == 0
            return never_begun or isinstance(step.cause, TimeoutError)
        step = step.cause
    return False


def code_and_message(error: BaseException) -> tuple[str, str]:
    """A stable code and a bounded message for a person."""
    cause = root_cause(error)
    if isinstance(cause, ApplicationError):
        return cause.type or ErrorCode.INTERNAL.value, bounded(cause.message, MAX_MESSAGE)
    if isinstance(cause, TimeoutError):
        return ErrorCode.PROCESS_FAILED.value, f"A step took longer than allowed: {cause.message}"
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return ErrorCode.INTERNAL.value, bounded(message, MAX_MESSAGE)


def failure(code: str, message: str) -> ApplicationError:
    """The failure that a workflow ends with: shown as Failed, with a code that parents and people read."""
    return ApplicationError(message, type=code, non_retryable=True)


def plan_declined() -> ApplicationError:
    """The failure of a part of a work whose plan a person does not want: the whole of it has been shown there."""
    message = "Stopped by a person's answer; nothing was published."
    return ApplicationError(message, _DECLINED, type=ErrorCode.STOPPED_BY_PERSON, non_retryable=True)


def ends_all_parts(error: BaseException) -> bool:
    """Whether no other part of the work is to begin: a person wants none, or nothing may be spent any more."""
    cause = root_cause(error)
    if not isinstance(cause, ApplicationError):
        return False
    return cause.type == ErrorCode.STOPPED_AT_LIMIT or _DECLINED in cause.details


def already_ended() -> ApplicationError:
    """The failure of a run whose task has ended in another one: what the task says of its end stays as it is."""
    return failure(ErrorCode.CONFLICT, "This request has already been carried out.")
