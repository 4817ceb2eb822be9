"""Whole main jobs at once: a sentence each, through engineering and deploy to a URL that answers.

`orchestrator up` in a home of its own, for each runtime that this machine has (ORCHESTRATOR_RUNTIME chooses one). One
job alone comes first; it also fills the caches of packages, as on a machine that is in use.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx

from benchmarks.measuring import Spread
from benchmarks.processor_shares import Shares, sampled
from benchmarks.reporting import Benchmark, Findings, Table, main
from contracts import ids
from contracts.nouns import DeliveryStart, ProjectCreate, TaskDTO
from contracts.progress import StreamedEvent
from contracts.states import TaskKind, TaskState
from runtime.api_client import ApiClient
from tests.support.eventually import eventually
from tests.support.services.container_service import no_engine
from tests.support.stack import running_stack

WISH = "A library with books: title, author, year:int"
_PATIENCE_S = 2400
_LOOK_S = 3.0
"""Seldom: on a machine that has nothing left, even the looking costs. When a job ended, its task says."""


@dataclass(frozen=True)
class Job:
    """One job at its end; `answers` is what its URL said to a visitor."""

    seconds: float
    task: TaskDTO
    answers: bool
    stages: dict[str, float]


@dataclass(frozen=True)
class Crowd:
    """Many jobs at once on one platform, after one alone."""

    runtime: str
    alone: Job
    jobs: list[Job]
    seconds: float
    shares: Shares

    @property
    def finished(self) -> list[Job]:
        return [job for job in self.jobs if job.task.state is TaskState.COMPLETED and job.answers]


async def measure(options: argparse.Namespace) -> Findings:
    crowds = [await crowd(runtime, options.jobs) for runtime in runtimes()]
    tables = [
        Table(
            ["Runtime", "One alone", "At once", "Finished", "p50", "Longest", "All done after"],
            [_row(one) for one in crowds],
        )
    ]
    for one in crowds:
        tables.append(Table([f"Stage, {one.runtime}, {len(one.jobs)} at once", "p50", "Longest"], _stages(one.jobs)))
        tables.append(Table([f"Processor, {one.runtime}", "Used", "Share"], one.shares.rows()))
    return Findings(
        tables=tables,
        figures={one.runtime: _figures(one) for one in crowds},
        remarks=[f"{one.runtime}: the processor was busy for {one.shares.busy:.0%} of the time." for one in crowds]
        + [f"**{_unfinished(job)}**" for one in crowds for job in one.jobs if job not in one.finished],
    )


def runtimes() -> list[str]:
    """What the environment chooses, else all that this machine has."""
    chosen = os.environ.get("ORCHESTRATOR_RUNTIME")
    if chosen:
        return [chosen]
    return ["process"] if no_engine() else ["process", "docker"]


async def crowd(runtime: str, count: int) -> Crowd:
    """A platform of its own, one job alone, then `count` at once."""
    os.environ["ORCHESTRATOR_RUNTIME"] = runtime
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with running_stack(Path(directory) / "home") as stack:
            api = ApiClient(f"http://127.0.0.1:{stack.port_base}", stack.admin_key())
            try:
                alone = await job(api)
                started = time.monotonic()
                async with sampled() as shares:
                    jobs = await asyncio.gather(*(job(api) for _ in range(count)))
                return Crowd(runtime, alone, list(jobs), time.monotonic() - started, shares)
            finally:
                await api.aclose()


async def job(api: ApiClient) -> Job:
    """One wish, from the start to what a visitor sees; a job that does not end is an error."""
    project = f"p-{uuid4().hex[:10]}"
    await api.create_project(ProjectCreate(id=project, name=f"p{uuid4().hex[:8]}"))
    started = datetime.now(UTC)
    begun = await api.start_delivery(DeliveryStart(request_id=uuid4().hex, project_id=project, wish=WISH))
    task = await _ended(api, begun.task_id)
    seconds = (task.updated_at - started).total_seconds()
    url = str(task.result.get("deployed_url") or "")
    return Job(seconds, task, await _answers(url), await _stages_of(api, begun.task_id))


async def _ended(api: ApiClient, task_id: str) -> TaskDTO:
    async def ended() -> list[TaskDTO]:
        task = await api.task(task_id)
        return [task] if task.state.is_final else []

    found: list[TaskDTO] = await eventually(ended, _PATIENCE_S, interval=_LOOK_S, message=f"the end of {task_id}")
    return found[0]


async def _answers(url: str) -> bool:
    if not url:
        return False
    async with httpx.AsyncClient(timeout=30) as visitor:
        try:
            return (await visitor.get(f"{url}/books")).status_code == 200
        except httpx.HTTPError:
            return False


async def _stages_of(api: ApiClient, delivery: str) -> dict[str, float]:
    """Seconds from the first word of each stage to that of the next, for the two departments."""
    taken: dict[str, float] = {}
    for kind in (TaskKind.ENGINEERING, TaskKind.DEPLOY):
        events = await api.events(ids.child_task_id(delivery, kind))
        taken |= {f"{kind}: {stage}": seconds for stage, seconds in _lengths(events)}
    return taken


def _lengths(events: Iterable[StreamedEvent]) -> Iterable[tuple[str, float]]:
    entered: dict[str, float] = {}
    for one in events:
        if one.grain == "milestone" and one.event.current_step:
            entered.setdefault(one.event.current_step, one.event.timestamp.timestamp())
    stages = list(entered)
    return [(stage, entered[then] - entered[stage]) for stage, then in pairwise(stages)]


def _row(one: Crowd) -> list[str]:
    times = Spread.of([job.seconds for job in one.jobs])
    return [
        one.runtime, f"{one.alone.seconds:.0f} s", str(len(one.jobs)), str(len(one.finished)),
        f"{times.p50:.0f} s", f"{times.largest:.0f} s", f"{one.seconds:.0f} s",
    ]  # fmt: skip


def _stages(jobs: list[Job]) -> list[list[str]]:
    found: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        for stage, seconds in job.stages.items():
            found[stage].append(seconds)
    spreads = {stage: Spread.of(seconds) for stage, seconds in found.items()}
    return [[stage, f"{one.p50:.1f} s", f"{one.largest:.1f} s"] for stage, one in spreads.items()]


def _unfinished(job: Job) -> str:
    return f"{job.task.id} did not finish: {job.task.state}, {job.task.error_code}: {job.task.error}"


def _figures(one: Crowd) -> dict[str, object]:
    return {
        "alone_s": one.alone.seconds,
        "jobs": len(one.jobs),
        "finished": len(one.finished),
        "seconds": asdict(Spread.of([job.seconds for job in one.jobs])),
        "all_done_after_s": one.seconds,
        "processor_busy": one.shares.busy,
        "processor_s": dict(one.shares.used),
        "stages": {stage: [job.stages.get(stage) for job in one.jobs] for stage in one.alone.stages},
    }


BENCHMARK = Benchmark("main_jobs", "Main jobs at once", {"jobs": 20}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
