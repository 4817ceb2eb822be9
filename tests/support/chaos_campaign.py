"""Planned kills: each point is a moment of a delivery of its own, and who is killed then.

One point at a time waits for its moment, strikes and sees its victims come back. What remains of its delivery goes on
beside the next points, and so it lives through their kills too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.chaos import Delivery, Evidence
from tests.support.chaos_kills import NAMES, kill
from tests.support.chaos_run import at_stage, deliver, end_of, gather_evidence, running
from tests.support.chaos_traces import Traces
from tests.support.eventually import eventually

TURN, TESTS, PLAYBOOK = range(3)
MOMENT_WITHIN_S = 90
ENDS_WITHIN_S = 300
_AT_ONCE = 3

Moment = Callable[[Traces, Delivery], Awaitable[str]]
"""Returns when the moment has come, with the identity of the run that is under way then; empty when there is none."""


@dataclass(frozen=True)
class Point:
    when: str
    moment: Moment
    victims: tuple[str, ...]
    wish: str = ""
    """What the scripted agent is told besides what to make."""

    @property
    def name(self) -> str:
        return f"{' and '.join(NAMES[victim] for victim in self.victims)} {self.when}"


async def accepted(traces: Traces, delivery: Delivery) -> str:
    return ""


def in_run(phase: int, later_s: float = 0.0) -> Moment:
    """So many seconds after a run of this phase was seen."""

    async def moment(traces: Traces, delivery: Delivery) -> str:
        identity = await running(traces, delivery.work[phase], MOMENT_WITHIN_S)
        await asyncio.sleep(later_s)  # the moment of the kill, not a wait for a fact
        return identity

    return moment


async def after_the_tests(traces: Traces, delivery: Delivery) -> str:
    identity = await running(traces, delivery.work[TESTS], MOMENT_WITHIN_S)

    def over() -> bool:
        return not any(run.running for run in traces.runs(delivery.work[TESTS]))

    await eventually(over, MOMENT_WITHIN_S, message="the end of the tests")
    return identity


def in_stage(step: str, stage: str) -> Moment:
    """While `engineering` or `deploy` says that it is there."""

    async def moment(traces: Traces, delivery: Delivery) -> str:
        task_id = delivery.engineering if step == "engineering" else delivery.deploy
        await at_stage(traces.stack, task_id, {stage}, MOMENT_WITHIN_S)
        return ""

    return moment


@dataclass
class Outcome:
    """What came of a point. `struck` is the run in whose middle the kill fell, with all runs of its name."""

    point: Point
    delivery: Delivery
    task: dict[str, Any]
    evidence: Evidence
    story: list[str]
    struck: str
    instances: list[str]


@dataclass
class Campaign:
    traces: Traces
    sentence: str
    _striking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _running: dict[str, "asyncio.Task[Outcome]"] = field(default_factory=dict)

    def begin(self, points: Sequence[Point]) -> None:
        self._running = {point.name: asyncio.create_task(self._run(point)) for point in points}

    async def outcome(self, point: Point) -> Outcome:
        return await self._running[point.name]

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, point: Point) -> Outcome:
        stack, story, began = self.traces.stack, list[str](), time.monotonic()

        def tell(what: str) -> None:
            story.append(f"{time.monotonic() - began:6.1f} s  {what}")

        async with self._places:
            async with self._striking:
                began = time.monotonic()
                delivery = await deliver(stack, f"{self.sentence} {point.wish}".strip())
                tell(f"accepted {delivery.task_id}")
                struck = await point.moment(self.traces, delivery)
                tell(f"SIGKILL {point.name}; {struck or 'no run'} under way")
                took = await asyncio.gather(*(kill(stack, victim) for victim in point.victims))
                tell(f"back after {', '.join(f'{seconds:.1f} s' for seconds in took)}")
            task = await end_of(stack, delivery.task_id, ENDS_WITHIN_S)
            tell(f"{task['state']}")
            # Counted while nobody is away.
            async with self._striking:
                evidence = await gather_evidence(self.traces, delivery)
            tell("counted")
        name = struck.rpartition(":")[0]
        instances = [run.identity for run in self.traces.runs(name) if name]
        return Outcome(point, delivery, task, evidence, story, struck, instances)
