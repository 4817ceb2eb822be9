"""What happens around every activity: context for the logs, and the one translation of errors into retries."""

import asyncio
import dataclasses
import errno
import random
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from contracts.errors import (
    OWN_OUTAGES,
    SERVER_OUTAGES,
    SERVER_PATIENCE_S,
    ErrorClass,
    ErrorCode,
    OrchestratorError,
    with_ending,
)
from contracts.names import ActivityName
from contracts.outside_text import cleaned_in
from contracts.subjects import Subject
from contracts.wording import counted
from runtime.disks import no_room
from runtime.observability import telemetry

log = structlog.get_logger(__name__)

_DELAYS: dict[ErrorClass, tuple[float, ...]] = {
    ErrorClass.TRANSIENT: (1, 2, 4),
    ErrorClass.UPSTREAM: (5, 10, 20, 60, 60),
}
"""Seconds before each retry; their number is the number of retries."""

_OUTAGE_DELAY_S = 10.0
"""While a part of the platform or a server is away, calls are retried, at most this many seconds apart."""

_NEW_OUTAGE_S = 180.0
"""An attempt that lasted longer than this had met a server that answered: what it ended with is another outage."""

_MAX_LOST = 20
"""So often Temporal may give a step up while its Temporal worker lives: a server that is cut off does that, too."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_DEPTH = 4
_REMEMBERED = 10_000


@dataclasses.dataclass
class _Past:
    """How an activity has failed in this process. An outage uses up none of the retries of a failure."""

    failures: int = 0
    outages: int = 0
    server_away_since: float | None = None
    running: int = 0
    """The number of the attempt that began last and has not ended here; 0: none."""
    lost: int = 0


class ErrorTranslation(Interceptor):
    """Turns domain errors into Temporal failures with the same code; bounds retries by error class. Cleans what comes
    from outside: nothing enters a workflow but through what an activity returns or raises."""

    def __init__(self) -> None:
        self._pasts: OrderedDict[tuple[str, str], _Past] = OrderedDict()
        self._projects: OrderedDict[str, str] = OrderedDict()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Translating(next, self)

    def past(self) -> _Past:
        """How this activity itself has failed; attempts that ended with their worker do not count."""
        info = activity.info()
        key = (info.workflow_run_id or "", info.activity_id)
        self._pasts[key] = self._pasts.pop(key, _Past())
        while len(self._pasts) > _REMEMBERED:
            self._pasts.popitem(last=False)
        return self._pasts[key]

    def begun(self) -> int:
        """How many attempts of this activity in a row have begun in this process and never ended in it.

        Temporal gave them up without a word: what they do blocks the heartbeat, or takes longer than it may. An attempt
        that ended with its Temporal worker is not known here.
        """
        past, attempt = self.past(), activity.info().attempt
        past.lost += bool(past.running and attempt > past.running)
        past.running = attempt
        return past.lost

    def ended(self) -> None:
        """This attempt ends by itself, with an error."""
        past = self.past()
        past.running = past.lost = 0

    def subject(self, workflow_id: str, arguments: Sequence[Any]) -> dict[str, str]:
        """The project and task. A step whose input names no project gets it from an earlier step of the same task."""
        found = _subject(workflow_id, arguments)
        if (task_id := found.get("task_id")) is None:
            return found
        if project_id := found.get("project_id") or self._projects.get(task_id):
            self._projects[task_id] = found["project_id"] = project_id
        while len(self._projects) > _REMEMBERED:
            self._projects.popitem(last=False)
        return found

    def forget(self) -> None:
        info = activity.info()
        self._pasts.pop((info.workflow_run_id or "", info.activity_id), None)


class _Translating(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, memory: ErrorTranslation) -> None:
        super().__init__(next)
        self._memory = memory

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: ANN401 - the type of the base class
        info = activity.info()
        with structlog.contextvars.bound_contextvars(
            workflow_id=info.workflow_id,
            activity=info.activity_type,
            attempt=info.attempt,
            **self._memory.subject(info.workflow_id or "", input.args),
        ):
            begin = time.monotonic()
            if (lost := self._memory.begun()) >= _MAX_LOST:
                raise self._translated(_given_up(lost), 0.0)
            try:
                result = await super().execute_activity(input)
            except FailureError:
                self._memory.ended()
                raise
            except asyncio.CancelledError:
                # By a person, by a shutdown, or because Temporal has given this attempt up: only then is there a next.
                raise
            except OrchestratorError as error:
                # Its causes and their stacks would make it too large for the server, which then hides its code.
                raise self._translated(error, time.monotonic() - begin) from None
            except Exception as error:
                log.exception("unexpected error in an activity")
                raise self._translated(_unexpected(error), time.monotonic() - begin) from error
            # The writes of milestones come by the dozen; every other step is worth a line.
            write = log.debug if info.activity_type == ActivityName.PROJECTION_APPLY else log.info
            write("activity done", ms=round((time.monotonic() - begin) * 1000))
        self._memory.forget()
        return cleaned_in(result)

    def _translated(self, error: OrchestratorError, lasted_s: float) -> ApplicationError:
        self._memory.ended()
        delay, message = self._delay(error, lasted_s), error.message
        if delay is None and error.code in SERVER_OUTAGES:
            minutes = f"{SERVER_PATIENCE_S / 60:g} minutes"
            message = with_ending(message, f"it was waited for during {minutes}; try again when it is back")
        message = cleaned_in(message)
        log.warning("activity failed", code=error.code.value, message=message, retry_in_s=delay)
        telemetry.name_failure(error.code.value)
        _count_failure(error.code, final=delay is None)
        return ApplicationError(
            message,
            cleaned_in(error.details),
            type=error.code.value,
            non_retryable=delay is None,
            next_retry_delay=timedelta(seconds=delay) if delay is not None else None,
        )

    def _delay(self, error: OrchestratorError, lasted_s: float) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        past = self._memory.past()
        if error.code in OWN_OUTAGES | SERVER_OUTAGES:
            return self._delay_of_outage(past, error, lasted_s)
        past.failures, past.outages, past.server_away_since = past.failures + 1, 0, None
        delays = _DELAYS.get(error.error_class, ())
        if past.failures > len(delays):
            return None
        asked = float(error.details.get("retry_after_s", 0) or 0)
        return max(asked, _jittered(delays[past.failures - 1]))

    def _delay_of_outage(self, past: _Past, error: OrchestratorError, lasted_s: float) -> float | None:
        past.outages += 1
        if error.code in SERVER_OUTAGES:
            now = time.monotonic()
            if past.server_away_since is None or lasted_s > _NEW_OUTAGE_S:
                past.outages, past.server_away_since = 1, now
            if now - past.server_away_since > SERVER_PATIENCE_S:
                return None
        return _jittered(min(float(past.outages), _OUTAGE_DELAY_S))


def _given_up(lost: int) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.INTERNAL,
        f"This step began {counted(lost, 'time')} and was given up each time, because it did not answer or took too "
        "long. An administrator finds its input and the time in the log; then start the task again.",
        error_class=ErrorClass.FATAL,
    )


def _count_failure(code: ErrorCode, *, final: bool) -> None:
    """One more failed attempt, by code. The activity's name and its queue are added by Temporal."""
    meter = activity.metric_meter().with_additional_attributes({"code": code.value, "final": str(final).lower()})
    meter.create_counter("orchestrator_activity_failures", "Failed attempts of activities, by error code").add(1)


def _subject(workflow_id: str, arguments: Sequence[Any]) -> dict[str, str]:
    """The project and task of an activity, for the log: from its input, else from the workflow's id."""
    found = {name: value for name in ("task_id", "project_id") if (value := _within(arguments, name, _DEPTH))}
    kind, _, rest = workflow_id.partition("/")
    first, _, second = rest.partition("/")
    of_id = {
        "engineering": {"task_id": first},
        "delivery": {"project_id": first, "task_id": second},
        "deploy": {"project_id": first},
        "worker": {"task_id": first},
    }.get(kind, {})
    return {name: value for name, value in {**of_id, **found}.items() if value}


def _within(value: Any, name: str, depth: int) -> str | None:  # noqa: ANN401 - any activity's arguments
    """A text called `name` in models, mappings and sequences, not far below `value`."""
    if isinstance(value, Subject):
        value = {"project_id": value.project_id}
    elif isinstance(value, BaseModel):
        value = {field: getattr(value, field) for field in type(value).model_fields}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        if isinstance(own := value.get(name), str) and own:
            return own
        value = list(value.values())
    if depth == 0 or isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return None
    return next((found for one in value if (found := _within(one, name, depth - 1))), None)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)


def _unexpected(error: Exception) -> OrchestratorError:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return no_room(error.filename)
    return OrchestratorError(ErrorCode.INTERNAL, f"{type(error).__name__}: {error}", error_class=ErrorClass.TRANSIENT)
