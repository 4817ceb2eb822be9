"""When a task queue counts as unserved: decided by how its workers were seen, with time made up here."""

from datetime import datetime, timedelta

from api.queues.tracker import Intervals, QueueTracker
from contracts.base import utc_now
from runtime.settings import Settings
from runtime.temporal.task_queues import QueueFacts, QueueWait, QueueWaits, WorkerFacts

QUEUE = "agents"
DEFAULT = Intervals()
WITHIN_S = 60.0
"""What people are promised."""


class Watched:
    """A tracker, and a server whose worker beats every ten seconds for as long as it lives."""

    def __init__(self, *, skew_s: float = 0.0, beats: bool = True) -> None:
        self.tracker = QueueTracker()
        self.began = utc_now()
        self.clock = 0.0
        self.alive = True
        self.beats = beats
        self._skew = timedelta(seconds=skew_s)
        self._last_beat = 0.0
        self._last_poll = 0.0

    @property
    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.clock)

    def pass_time(self, seconds: float) -> None:
        """Look every few seconds."""
        end = self.clock + seconds
        while self.clock < end:
            self.clock += DEFAULT.look_s
            if self.alive:
                self._last_beat = self.clock // 10 * 10
                self._last_poll = self.clock // 60 * 60
            self.tracker.update([self.facts], self.now, self.clock)

    @property
    def facts(self) -> QueueFacts:
        beat_at = self.began + timedelta(seconds=self._last_beat) + self._skew
        workers = [WorkerFacts(key="w", queue=QUEUE, beat_at=beat_at, polling=True)] if self.beats else []
        polled_at = self.began + timedelta(seconds=self._last_poll)
        return QueueFacts(name=QUEUE, workers=workers, activity_pollers=1, polled_at=polled_at, backlog=1)

    def decide(self, *, waiting: bool = True) -> tuple[list[str], list[str]]:
        wait = QueueWait(queue=QUEUE, since=self.now, workflow_ids=["engineering/t", "delivery/p/d"], task_ids=["t"])
        without_worker = self.tracker.without_worker(self.clock)
        waits = QueueWaits(items=[wait] if waiting and QUEUE in without_worker else [])
        return self.tracker.decide(without_worker, waits)

    def seconds_until_noticed(self) -> float:
        died = self.clock
        while QUEUE not in self.tracker.without_worker(self.clock):
            assert self.clock - died < 300, "never noticed"
            self.pass_time(DEFAULT.look_s)
        return self.clock - died


def test_a_dead_worker_is_noticed_within_a_minute_wherever_its_beat_fell() -> None:
    for age in range(10):
        watched = Watched()
        watched.pass_time(90 + age)
        watched.alive = False
        assert watched.seconds_until_noticed() < WITHIN_S


def test_a_living_worker_is_never_missed_although_it_polls_once_a_minute() -> None:
    watched = Watched()
    watched.pass_time(600)
    assert watched.tracker.without_worker(watched.clock) == []
    assert [queue.workers for queue in watched.tracker.queues() if queue.name == QUEUE] == [1]


def test_a_worker_whose_clock_is_wrong_counts_as_living_as_soon_as_it_beats_again() -> None:
    for skew_s in (-3600, 3600):
        watched = Watched(skew_s=skew_s)
        watched.pass_time(60)
        assert watched.tracker.without_worker(watched.clock) == []
        watched.alive = False
        assert watched.seconds_until_noticed() < WITHIN_S


def test_a_clock_that_jumps_raises_no_alarm_and_hides_no_dead_worker() -> None:
    for hours in (-2, 2):
        watched = Watched()
        watched.pass_time(90)
        watched.began += timedelta(hours=hours)
        watched.pass_time(60)
        assert watched.tracker.without_worker(watched.clock) == []
        watched.alive = False
        assert watched.seconds_until_noticed() < WITHIN_S


def test_a_worker_without_heartbeats_is_alive_while_it_polls() -> None:
    watched = Watched(beats=False)
    watched.pass_time(600)
    assert watched.tracker.without_worker(watched.clock) == []
    watched.alive = False
    assert watched.seconds_until_noticed() <= DEFAULT.poll_s + DEFAULT.grace_s + 2 * DEFAULT.look_s


def test_a_restart_of_the_workers_is_no_alarm() -> None:
    watched = Watched()
    watched.pass_time(90)
    watched.alive = False
    watched.pass_time(DEFAULT.beat_s + DEFAULT.grace_s / 2)
    watched.alive = True
    watched.pass_time(DEFAULT.look_s * 4)
    assert watched.decide() == ([], [])


def test_a_queue_is_unserved_only_while_something_waits_and_then_names_every_task_that_waits() -> None:
    watched = Watched()
    watched.pass_time(90)
    watched.alive = False
    watched.seconds_until_noticed()
    assert watched.decide(waiting=False) == ([], [])
    assert watched.tracker.stall("engineering/t", "t") is None

    assert watched.decide() == ([QUEUE], [])
    assert watched.decide() == ([], [])
    for keys in (("engineering/t", "x"), ("x", "t"), ("delivery/p/d", "d")):
        stall = watched.tracker.stall(*keys)
        assert stall is not None
        assert stall.queue == QUEUE
    assert watched.tracker.stall("engineering/other", "other") is None
    [since] = [queue.unserved_since for queue in watched.tracker.queues() if queue.name == QUEUE]
    assert since is not None
    assert abs((since - watched.began).total_seconds() - 90) <= 10, "as of the last sign of life"

    watched.alive = True
    watched.pass_time(12)
    assert watched.decide() == ([], [QUEUE])
    assert watched.tracker.stall("engineering/t", "t") is None


def test_a_server_that_has_forgotten_its_workers_gets_the_time_to_hear_of_them() -> None:
    tracker, now = QueueTracker(), utc_now()
    tracker.update([QueueFacts(name=QUEUE)], now, 0.0)
    tracker.update([QueueFacts(name=QUEUE)], now, DEFAULT.grace_s - 1)
    tracker.server_was_away()
    tracker.update([QueueFacts(name=QUEUE)], now, DEFAULT.grace_s + 1)
    assert tracker.without_worker(DEFAULT.grace_s + 1) == []
    assert tracker.without_worker(2 * DEFAULT.grace_s + 1) == [QUEUE]


def test_an_installation_whose_workers_beat_more_often_is_told_sooner() -> None:
    often = Intervals.of(Settings(worker_beat_s=2, queue_grace_s=3))
    assert Intervals.of(Settings()) == DEFAULT
    assert often.look_s + often.beat_s + often.grace_s + 2 * often.look_s < 15
