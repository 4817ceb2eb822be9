"""Planned kills: each point is a moment of a delivery, and who is killed then. One delivery lives through several."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.eventually import eventually
from tests.support.kills.judging import Delivery, Evidence
from tests.support.kills.killing import DOCKER, NAMES, kill
from tests.support.kills.run import at_stage, deliver, end_of, gather_evidence, running, was_cut_short
from tests.support.kills.traces import Traces

TURN, TESTS, DEPLOY = range(3)
MOMENT_WITHIN_S = 90
ENDS_WITHIN_S = 300

Moment = Callable[[Traces, Delivery], Awaitable[str]]
"""Returns when the moment has come, with the identity of the run that is under way then; empty when there is none."""


@dataclass(frozen=True)
class Point:
    when: str
    moment: Moment
    victims: tuple[str, ...]

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


@dataclass(frozen=True)
class Route:
    """One delivery that is struck at several points, in the order of its stages."""

    points: tuple[Point, ...]
    wish: str = ""
    """What the scripted agent is told besides what to make."""


@dataclass(frozen=True)
class Strike:
    """`struck` is the run in whose middle the kill fell, empty without one; `instances` are all runs of its name.

    `cut_short` tells that they are tests whose end Docker did not keep, so that they run once more, on purpose.
    """

    struck: str
    instances: tuple[str, ...]
    cut_short: bool

    @property
    def adopted(self) -> bool:
        if not self.struck:
            return not self.instances
        return self.instances[:1] == (self.struck,) and len(self.instances) <= (2 if self.cut_short else 1)


@dataclass
class Outcome:
    """What came of a route; `strikes` is by the name of the point."""

    delivery: Delivery
    task: dict[str, Any]
    evidence: Evidence
    story: list[str]
    strikes: dict[str, Strike]


@dataclass
class Campaign:
    """Routes one after the other, so that each strike hits a platform that works."""

    traces: Traces
    sentence: str
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: dict[str, "asyncio.Task[Outcome]"] = field(default_factory=dict)

    def begin(self, routes: Sequence[Route], wanted: Sequence[Point]) -> None:
        """Start with what is wanted of the routes; other points are left out."""
        for route in routes:
            points = [point for point in route.points if point in wanted]
            if points:
                task = asyncio.create_task(self._run(points, route.wish))
                self._running |= {point.name: task for point in points}

    async def outcome(self, point: Point) -> Outcome:
        return await self._running[point.name]

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, points: Sequence[Point], wish: str) -> Outcome:
        stack, story, struck = self.traces.stack, list[str](), dict[str, str]()
        async with self._order:
            began = time.monotonic()

            def tell(what: str) -> None:
                story.append(f"{time.monotonic() - began:6.1f} s  {what}")

            try:
                delivery = await deliver(stack, f"{self.sentence} {wish}".strip())
                tell(f"accepted {delivery.task_id}")
                for point in points:
                    run = struck[point.name] = await point.moment(self.traces, delivery)
                    tell(f"SIGKILL {point.name}; {run or 'no run'} under way")
                    took = await asyncio.gather(*(kill(stack, victim) for victim in point.victims))
                    tell(f"back after {', '.join(f'{seconds:.1f} s' for seconds in took)}")
                task = await end_of(stack, delivery.task_id, ENDS_WITHIN_S)
                tell(f"{task['state']}")
                engine_killed = any(DOCKER in point.victims for point in points)
                evidence = await gather_evidence(self.traces, delivery, engine_killed=engine_killed)
                tell("counted")
            except (AssertionError, RuntimeError) as error:
                error.add_note("\n".join(story))
                raise
        strikes = {name: self._judged(run, engine_killed) for name, run in struck.items()}
        return Outcome(delivery, task, evidence, story, strikes)

    def _judged(self, run: str, engine_killed: bool) -> Strike:
        name = run.rpartition(":")[0]
        instances = tuple(one.identity for one in self.traces.runs(name)) if name else ()
        return Strike(run, instances, engine_killed and bool(name) and was_cut_short(self.traces.stack, name))
