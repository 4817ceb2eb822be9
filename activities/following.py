"""Following a long effect from an activity: heartbeat, fine events, and where the last attempt had got to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from temporalio import activity

from activities.ports import Follow, Platform
from contracts.errors import OrchestratorError
from contracts.progress import FineEvent

log = structlog.get_logger(__name__)

_MAX_PENDING = 2_000
"""Events kept while the API is unavailable; older ones are dropped. The whole transcript is in the artifact store."""

_BATCH = 200
_BEAT_S = 1.0

_Result = TypeVar("_Result")


class _Reporter:
    """Heartbeats with the offset up to which the API has the events, and what people may want to know of the work."""

    def __init__(self, platform: Platform, task_id: str, offset: int) -> None:
        self.facts: dict[str, str | float] = {}
        self._platform = platform
        self._task_id = task_id
        self._delivered = offset
        self._pending: list[FineEvent] = []

    async def report(self, events: list[FineEvent], offset: int) -> None:
        self._pending = [*self._pending, *events][-_MAX_PENDING:]
        if not self._pending or await self._post():
            self._delivered = offset
        self._beat()

    async def deliver(self) -> None:
        """Post what is still pending, however long the API is unavailable: the end of a log says the most."""
        while self._pending and not await self._post():
            self._beat()
            await asyncio.sleep(_BEAT_S)

    def _beat(self) -> None:
        # The offset first: it is what the next attempt begins with.
        activity.heartbeat(self._delivered, *([dict(self.facts)] if self.facts else []))

    async def _post(self) -> bool:
        """Post what is pending. An unavailable API never disturbs the work itself: the post is retried."""
        try:
            while self._pending:
                await self._platform.post_events(self._task_id, self._pending[:_BATCH])
                self._pending = self._pending[_BATCH:]
        except OrchestratorError as error:
            log.warning("fine events wait for the API", code=error.code, pending=len(self._pending))
            if not error.retryable:
                # what the API will never take must not hold up the work
                self._pending = []
            return False
        return True


async def followed(platform: Platform, task_id: str, work: Callable[[Follow], Awaitable[_Result]]) -> _Result:
    """The result of `work`, once the API has everything that it reported.

    The work gets the `Follow` of the running activity, which continues where the last attempt stopped.
    """
    details = activity.info().heartbeat_details
    offset = int(details[0]) if details else 0
    reporter = _Reporter(platform, task_id, offset)
    result = await work(Follow(offset=offset, report=reporter.report, facts=reporter.facts))
    await reporter.deliver()
    return result


async def beating(work: Awaitable[_Result]) -> _Result:
    """The result of `work`, with a heartbeat every second, so that cancellation and a dead worker are noticed."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_BEAT_S))[0]:
            activity.heartbeat()
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=_BEAT_S)
        if task.done() and not task.cancelled():
            task.exception()  # how it took the cancel is of no interest


async def to_the_end(work: Awaitable[_Result]) -> _Result:
    """The result of short `work` that is never left half-way; heartbeats, so that a dead worker is noticed.

    A cancellation by a person takes effect when the work has ended. A worker that shuts down ends it: the next
    attempt does it again.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    try:
        while not task.done():
            try:
                await asyncio.wait({task}, timeout=_BEAT_S)
            except asyncio.CancelledError:
                if not cancel_requested():
                    raise
                cancelled = True
            if not task.done():
                activity.heartbeat()
    finally:
        task.cancel()
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def cancel_requested() -> bool:
    """Whether a person wants this to stop, as opposed to a Temporal worker that shuts down.

    In the second case the outside thing is left alone: the next attempt adopts it.
    """
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


async def or_stop(work: Awaitable[_Result], stop: Callable[[], Awaitable[None]]) -> _Result:
    """The result of `work`. If a person cancels it, `stop` first ends the outside effect and confirms that."""
    try:
        return await work
    except asyncio.CancelledError:
        if cancel_requested():
            await to_the_end(stop())
        raise


async def goes_on(pause_s: float) -> bool:
    """After a pause with heartbeats: False as soon as the worker shuts down, so that it need not wait for us."""
    clock = asyncio.get_running_loop().time
    until = clock() + pause_s
    shutdown = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        while not shutdown.done() and (left := until - clock()) > 0:
            activity.heartbeat()
            await asyncio.wait({shutdown}, timeout=min(_BEAT_S, left))
        return not shutdown.done()
    finally:
        shutdown.cancel()
