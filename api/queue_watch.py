"""Never stuck: notices a task queue that has work and no live Temporal worker, and says which tasks wait on it.

Each API process watches for itself and keeps nothing: after a restart it knows the same again within seconds.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import structlog

from api.gateway_link import GatewayLink
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.names import Queue
from contracts.nouns import AlertDTO, QueueDTO, QueueList
from runtime.settings import Settings
from runtime.task_queues import QueueFacts, QueueWaits

_BEATS_MISSED = 2.2
"""After two missed beats and a little a Temporal worker is dead."""


@dataclass(frozen=True)
class Intervals:
    """What the watch goes by, in seconds. With the defaults `look_s` + `beat_s` + `grace_s` and two more looks stay
    well below the minute within which people are told."""

    look_s: float = 3.0
    """Between two looks: a handful of requests that the server answers from memory."""

    beat_s: float = 22.0
    """So long after its last sign of life a Temporal worker counts as dead; it gives one every ten seconds."""

    poll_s: float = 75.0
    """An idle worker that sends no heartbeats shows itself only when its poll of a minute is renewed."""

    grace_s: float = 15.0
    """For so long a queue may be without a worker: a restart of the workers, or of the server that forgets them, is
    nobody's alarm."""

    scan_s: float = 10.0
    """Between two scans of the open workflows, while a queue has no worker."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As an installation has set them. Looks and scans are no rarer than what they look for."""
        return cls(
            look_s=min(cls.look_s, settings.worker_beat_s),
            beat_s=_BEATS_MISSED * settings.worker_beat_s,
            grace_s=settings.queue_grace_s,
            scan_s=min(cls.scan_s, settings.queue_grace_s),
        )


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Stall:
    """A task cannot go on before somebody serves `queue`."""

    queue: str
    since: datetime


@dataclass
class _Sign:
    """Something that only a living worker changes. `at` is by the clock of whoever wrote it, `seen` by ours."""

    at: datetime
    seen: float


@dataclass
class _Queue:
    facts: QueueFacts
    live: int = 0
    seen_at: datetime | None = None
    silent_from: float | None = None
    unserved_since: datetime | None = None


@dataclass
class QueueBook:
    """What is known of the queues over time. Pure: the caller says what time it is, on the wall and on a clock."""

    intervals: Intervals = field(default_factory=Intervals)
    _signs: dict[str, _Sign] = field(default_factory=dict)
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _stalls: dict[str, Stall] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every queue that must exist or has been seen."""
        return list(dict.fromkeys([*Queue.ALL, *self._queues]))

    def learn(self, facts: Sequence[QueueFacts], now: datetime, clock: float) -> None:
        """Take in one look at the server."""
        for found in facts:
            queue = self._queues.setdefault(found.name, _Queue(found))
            queue.facts = found
            beats = [self._sign(worker.key, worker.beat_at, now, clock) for worker in found.workers]
            queue.live = sum(
                worker.polling and clock - sign.seen <= self.intervals.beat_s
                for worker, sign in zip(found.workers, beats, strict=True)
            )
            signs = [*beats, *self._poll(found, now, clock)]
            queue.seen_at = max((sign.at for sign in signs), default=queue.seen_at)
            if queue.live or self._is_polled(found, clock):
                queue.silent_from = None
            elif queue.silent_from is None:
                queue.silent_from = clock
        self._forget({worker.key for found in facts for worker in found.workers})

    def silent(self, clock: float) -> list[str]:
        """Queues that have been without a live worker for longer than a restart takes."""
        return [
            name
            for name, queue in self._queues.items()
            if queue.silent_from is not None and clock - queue.silent_from >= self.intervals.grace_s
        ]

    def settle(self, silent: Sequence[str], waits: QueueWaits) -> tuple[list[str], list[str]]:
        """Decide which queues are unserved, from a scan for the silent ones; returns (newly unserved, served again)."""
        work = {wait.queue for wait in waits.items}
        if not waits.complete:
            work |= {name for name in silent if self._queues[name].facts.backlog}
        before = {name for name, queue in self._queues.items() if queue.unserved_since}
        after = work & set(silent)
        for name in after - before:
            oldest = min((wait.since for wait in waits.items if wait.queue == name), default=utc_now())
            self._queues[name].unserved_since = self._queues[name].seen_at or oldest
        for name in before - after:
            self._queues[name].unserved_since = None
        self._stalls = {
            key: Stall(wait.queue, max(wait.since, self._queues[wait.queue].unserved_since or wait.since))
            for wait in waits.items
            if wait.queue in after
            for key in (*wait.workflow_ids, *wait.task_ids)
        }
        return sorted(after - before), sorted(before - after)

    def start_over(self) -> None:
        """The server was away: it has forgotten the workers, so their silence begins with its next answer."""
        for queue in self._queues.values():
            queue.silent_from = None

    def stall(self, *keys: str) -> Stall | None:
        """What the workflow or task of one of these ids waits for; None when nothing of it stands still."""
        return next((self._stalls[key] for key in keys if key in self._stalls), None)

    def queues(self) -> list[QueueDTO]:
        """Every queue as it was seen last."""
        return [
            QueueDTO(
                name=name,
                workers=queue.live,
                pollers=queue.facts.workflow_pollers + queue.facts.activity_pollers,
                backlog=queue.facts.backlog,
                oldest_waiting_s=queue.facts.oldest_waiting_s,
                seen_at=queue.seen_at,
                unserved_since=queue.unserved_since,
            )
            for name, queue in self._queues.items()
        ]

    def _sign(self, key: str, at: datetime, now: datetime, clock: float) -> _Sign:
        known = self._signs.get(key)
        if known is None:
            # first sight: only the wall clocks can tell how old it is
            known = self._signs[key] = _Sign(at, clock - max(0.0, (now - at).total_seconds()))
        elif known.at != at:
            # it moved, so somebody lives, however wrong their clock is
            known.at, known.seen = at, clock
        return known

    def _poll(self, found: QueueFacts, now: datetime, clock: float) -> list[_Sign]:
        return [] if found.polled_at is None else [self._sign(_poll_key(found), found.polled_at, now, clock)]

    def _is_polled(self, found: QueueFacts, clock: float) -> bool:
        sign = self._signs.get(_poll_key(found))
        window = self.intervals.beat_s if found.workers else self.intervals.poll_s
        return sign is not None and found.polled_at is not None and clock - sign.seen <= window

    def _forget(self, keys: Iterable[str]) -> None:
        kept = {*keys, *(_poll_key(queue.facts) for queue in self._queues.values())}
        self._signs = {key: sign for key, sign in self._signs.items() if key in kept}


def _poll_key(found: QueueFacts) -> str:
    return f"poll of {found.name}"


class QueueWatch:
    """Looks at the queues for as long as the API runs. Temporal being away is an alert, and no end of the watch."""

    def __init__(self, gateway: GatewayLink, intervals: Intervals) -> None:
        self._gateway = gateway
        self._intervals = intervals
        self._book = QueueBook(intervals)
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
        """The queue that a task waits on and nobody serves; None when it is served."""
        return self._book.stall(workflow_id, task_id)

    def report(self) -> QueueList:
        """The queues and what is wrong with them, as of the last look."""
        queues = self._book.queues()
        alerts = [_unserved(queue.name, queue.unserved_since) for queue in queues if queue.unserved_since]
        if self._away_since is not None:
            alerts.append(_away(self._away_since))
        return QueueList(items=queues, alerts=alerts, looked_at=self._looked_at)

    async def look(self) -> None:
        """One look. Raises OrchestratorError when Temporal does not answer."""
        gateway, clock = await self._gateway.get(), asyncio.get_running_loop().time
        self._book.learn(await gateway.queue_facts(self._book.names), utc_now(), clock())
        silent = self._book.silent(clock())
        scanned_lately = self._scanned is not None and clock() - self._scanned < self._intervals.scan_s
        if silent and scanned_lately and not self._is_over(silent):
            return
        waits = await gateway.queue_waits(silent) if silent else QueueWaits(items=[])
        self._scanned = clock() if silent else None
        self._tell(*self._book.settle(silent, waits))

    def _is_over(self, silent: Sequence[str]) -> bool:
        """Whether a queue that was unserved has a worker again: that is told at once."""
        return any(queue.unserved_since and queue.name not in silent for queue in self._book.queues())

    async def _watch(self) -> None:
        failures = 0
        while True:
            try:
                await self.look()
            except OrchestratorError as error:
                failures += 1
                self._missed(error, failures)
            except Exception:
                # a watch that ends unnoticed is worse than one that fails aloud every few seconds
                log.exception("the queues could not be looked at")
            else:
                failures, self._looked_at, self._away_since = 0, utc_now(), None
            await asyncio.sleep(self._intervals.look_s)

    def _missed(self, error: OrchestratorError, failures: int) -> None:
        if self._away_since is None:
            self._away_since = utc_now()
            log.warning("alert: the Temporal server does not answer", alert="temporal_unreachable", cause=error.message)
        if failures > 1:
            self._book.start_over()

    def _tell(self, unserved: Sequence[str], served: Sequence[str]) -> None:
        found = {queue.name: queue for queue in self._book.queues()}
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


def _unserved(name: str, since: datetime) -> AlertDTO:
    return AlertDTO(
        kind="queue_unserved",
        subject=name,
        since=since,
        message=f"Work waits on the task queue {name}, and no Temporal worker serves it. "
        f"Start one: `orchestrator up --detach`, or `python -m workers {name}`. Nothing is lost.",
    )


def _away(since: datetime) -> AlertDTO:
    return AlertDTO(
        kind="temporal_unreachable",
        subject="temporal",
        since=since,
        message="The Temporal server does not answer, so nothing is known of the task queues. "
        "Start it: `orchestrator up --detach`. Work goes on when it is back.",
    )
