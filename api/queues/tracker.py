"""Decides from what the Temporal server says over time which task queues have work and no live worker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from contracts.base import utc_now
from contracts.names import Queue
from contracts.nouns import QueueDTO
from runtime.settings import Settings
from runtime.temporal.task_queues import QueueFacts, QueueWaits

_BEATS_MISSED = 2.2
"""A Temporal worker counts as dead after two missed heartbeats and a little more."""


@dataclass(frozen=True)
class Intervals:
    """How often the watch looks, and how long it waits, in seconds. With the defaults, `look_s` + `beat_s` + `grace_s`
    and two more looks stay well below the minute within which people are told."""

    look_s: float = 3.0
    """Between two looks. A look is a handful of requests that the server answers from memory."""

    beat_s: float = 22.0
    """A Temporal worker counts as dead when its last heartbeat is this old; it sends one every ten seconds."""

    poll_s: float = 75.0
    """The same for a worker that sends no heartbeats: when it is idle, it polls once a minute."""

    grace_s: float = 15.0
    """A queue may be without a worker for this long. A restart of the workers, or of the server, which then forgets
    them, is no reason for an alert."""

    scan_s: float = 10.0
    """Between two scans of the open workflows, while a queue has no worker."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The intervals of an installation. Looks and scans are at least as frequent as what they look for."""
        return cls(
            look_s=min(cls.look_s, settings.worker_beat_s),
            beat_s=_BEATS_MISSED * settings.worker_beat_s,
            grace_s=settings.queue_grace_s,
            scan_s=min(cls.scan_s, settings.queue_grace_s),
        )


@dataclass(frozen=True)
class Stall:
    """A task cannot go on until a worker serves `queue`."""

    queue: str
    since: datetime


@dataclass
class _LastSeen:
    """When a worker was seen last. `at` is by the clock of whoever reported it, `seen` by ours."""

    at: datetime
    seen: float


@dataclass
class _Queue:
    facts: QueueFacts
    live: int = 0
    seen_at: datetime | None = None
    without_worker_since: float | None = None
    unserved_since: datetime | None = None


@dataclass
class QueueTracker:
    """What is known of the queues over time. The caller passes the time of day and that of a monotonic clock."""

    intervals: Intervals = field(default_factory=Intervals)
    _last_seen: dict[str, _LastSeen] = field(default_factory=dict)
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _stalls: dict[str, Stall] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every queue that must exist or has been seen."""
        return list(dict.fromkeys([*Queue.ALL, *self._queues]))

    def update(self, facts: Sequence[QueueFacts], now: datetime, clock: float) -> None:
        """Take over the facts from one look at the server."""
        for found in facts:
            queue = self._queues.setdefault(found.name, _Queue(found))
            queue.facts = found
            heartbeats = [self._seen(worker.key, worker.beat_at, now, clock) for worker in found.workers]
            queue.live = sum(
                worker.polling and clock - last.seen <= self.intervals.beat_s
                for worker, last in zip(found.workers, heartbeats, strict=True)
            )
            seen = [*heartbeats, *self._poll(found, now, clock)]
            queue.seen_at = max((one.at for one in seen), default=queue.seen_at)
            if queue.live or self._is_polled(found, clock):
                queue.without_worker_since = None
            elif queue.without_worker_since is None:
                queue.without_worker_since = clock
        self._forget({worker.key for found in facts for worker in found.workers})

    def without_worker(self, clock: float) -> list[str]:
        """Queues that have been without a live worker for longer than a restart takes."""
        return [
            name
            for name, queue in self._queues.items()
            if queue.without_worker_since is not None and clock - queue.without_worker_since >= self.intervals.grace_s
        ]

    def decide(self, without_worker: Sequence[str], waits: QueueWaits) -> tuple[list[str], list[str]]:
        """Decide which queues are unserved, from a scan of the workflows that wait for those without a worker.

        Returns (newly unserved, served again).
        """
        work = {wait.queue for wait in waits.items}
        if not waits.complete:
            work |= {name for name in without_worker if self._queues[name].facts.backlog}
        before = {name for name, queue in self._queues.items() if queue.unserved_since}
        after = work & set(without_worker)
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

    def server_was_away(self) -> None:
        """The server has forgotten the workers, so they get the whole grace period again after its next answer."""
        for queue in self._queues.values():
            queue.without_worker_since = None

    def stall(self, *keys: str) -> Stall | None:
        """What the workflow or task with one of these ids waits for; None when it waits for no queue."""
        return next((self._stalls[key] for key in keys if key in self._stalls), None)

    def queues(self) -> list[QueueDTO]:
        """Every queue as of the last look."""
        return [
            QueueDTO(
                name=name,
                workers=queue.live,
                pollers=queue.facts.workflow_pollers + queue.facts.activity_pollers,
                backlog=queue.facts.backlog,
                oldest_waiting_s=queue.facts.oldest_waiting_s,
                seen_at=queue.seen_at,
                unserved_since=queue.unserved_since,
                served=queue.without_worker_since is None,
            )
            for name, queue in self._queues.items()
        ]

    def _seen(self, key: str, at: datetime, now: datetime, clock: float) -> _LastSeen:
        known = self._last_seen.get(key)
        if known is None:
            # Seen for the first time: only the wall clocks say how old it is.
            known = self._last_seen[key] = _LastSeen(at, clock - max(0.0, (now - at).total_seconds()))
        elif known.at != at:
            # It changed, so the worker lives, even if its clock is wrong.
            known.at, known.seen = at, clock
        return known

    def _poll(self, found: QueueFacts, now: datetime, clock: float) -> list[_LastSeen]:
        return [] if found.polled_at is None else [self._seen(_poll_key(found), found.polled_at, now, clock)]

    def _is_polled(self, found: QueueFacts, clock: float) -> bool:
        last = self._last_seen.get(_poll_key(found))
        window = self.intervals.beat_s if found.workers else self.intervals.poll_s
        return last is not None and found.polled_at is not None and clock - last.seen <= window

    def _forget(self, keys: Iterable[str]) -> None:
        kept = {*keys, *(_poll_key(queue.facts) for queue in self._queues.values())}
        self._last_seen = {key: last for key, last in self._last_seen.items() if key in kept}


def _poll_key(found: QueueFacts) -> str:
    return f"poll of {found.name}"
