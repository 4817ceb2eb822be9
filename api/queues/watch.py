"""Notices a task queue that has work and no live Temporal worker, and says which tasks wait for it.

Each API process watches for itself and stores nothing: after a restart it knows the same again within seconds.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import Depends

from api.dependencies import part
from api.gateway import GatewayLink
from api.queues.tracker import Intervals, QueueTracker, Stall
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.nouns import AlertDTO, QueueList
from runtime.temporal.task_queues import QueueWaits

log = structlog.get_logger(__name__)


class QueueWatch:
    """Looks at the queues while the API runs. If Temporal is unavailable, it raises an alert and keeps trying."""

    def __init__(self, gateway: GatewayLink, intervals: Intervals, start_command: str) -> None:
        self._gateway = gateway
        self._intervals = intervals
        self._start_command = start_command
        self._tracker = QueueTracker(intervals)
        self._task: asyncio.Task[None] | None = None
        self._looked_at: datetime | None = None
        self._away_since: datetime | None = None
        self._scanned: float | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="queue-watch")

    async def close(self) -> None:
        """Stop looking; a second call does nothing."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def stall(self, workflow_id: str, task_id: str) -> Stall | None:
        """The queue without a worker that a task waits for; None when there is none."""
        return self._tracker.stall(workflow_id, task_id)

    def report(self) -> QueueList:
        """The queues and what is wrong with them, as of the last look."""
        queues = self._tracker.queues()
        alerts = [
            _unserved_alert(queue.name, queue.unserved_since, self._start_command)
            for queue in queues
            if queue.unserved_since
        ]
        if self._away_since is not None:
            alerts.append(_away_alert(self._away_since, self._start_command))
        return QueueList(items=queues, alerts=alerts, looked_at=self._looked_at)

    async def look(self) -> None:
        """One look. Raises OrchestratorError when Temporal does not answer."""
        gateway, clock = await self._gateway.get(), asyncio.get_running_loop().time
        self._tracker.update(await gateway.queue_facts(self._tracker.names), utc_now(), clock())
        without_worker = self._tracker.without_worker(clock())
        scanned_lately = self._scanned is not None and clock() - self._scanned < self._intervals.scan_s
        if without_worker and scanned_lately and not self._is_served_again(without_worker):
            return
        waits = await gateway.queue_waits(without_worker) if without_worker else QueueWaits(items=[])
        self._scanned = clock() if without_worker else None
        self._log_changes(*self._tracker.decide(without_worker, waits))

    def _is_served_again(self, without_worker: Sequence[str]) -> bool:
        """Whether a queue that was unserved has a worker again, which is reported immediately."""
        return any(queue.unserved_since and queue.name not in without_worker for queue in self._tracker.queues())

    async def _watch(self) -> None:
        failures = 0
        while True:
            try:
                await self.look()
            except OrchestratorError as error:
                failures += 1
                self._note_failure(error, failures)
            except Exception:
                # Logged every few seconds, which is better than a watch that has ended unnoticed.
                log.exception("the queues could not be looked at")
            else:
                failures, self._looked_at, self._away_since = 0, utc_now(), None
            await asyncio.sleep(self._intervals.look_s)

    def _note_failure(self, error: OrchestratorError, failures: int) -> None:
        if self._away_since is None:
            self._away_since = utc_now()
            log.warning("alert: the Temporal server does not answer", alert="temporal_unreachable", cause=error.message)
        if failures > 1:
            self._tracker.server_was_away()

    def _log_changes(self, unserved: Sequence[str], served: Sequence[str]) -> None:
        found = {queue.name: queue for queue in self._tracker.queues()}
        for name in unserved:
            since = found[name].unserved_since
            log.error(
                "alert: a task queue has work and no live Temporal worker",
                alert="queue_unserved",
                queue=name,
                since=since.isoformat() if since else None,
                backlog=found[name].backlog,
            )
        for name in served:
            log.info("a task queue is served again, or nothing waits on it any more", alert="over", queue=name)


QueueWatchDep = Annotated[QueueWatch, Depends(part("queues"))]


def _unserved_alert(name: str, since: datetime, start: str) -> AlertDTO:
    return AlertDTO(
        kind="queue_unserved",
        subject=name,
        since=since,
        message=f"Work is waiting in the task queue {name}, but no Temporal worker serves it. "
        f"Start one: `{start}`, or `python -m workers {name}`. Nothing is lost.",
    )


def _away_alert(since: datetime, start: str) -> AlertDTO:
    return AlertDTO(
        kind="temporal_unreachable",
        subject="temporal",
        since=since,
        message="The Temporal server does not answer, so the state of the task queues is unknown. "
        f"Start it: `{start}`. Work continues when it is back.",
    )
