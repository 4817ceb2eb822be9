"""What one projection costs: in the API with its PostgreSQL, and as an activity of a workflow."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import Worker

from activities.projection import ProjectionActivities
from benchmarks.measuring import Spread, timed
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.telling_flow import TellingWorkflow
from benchmarks.setups.zero_time import QuietPlatform, temporal_client
from contracts.names import Queue
from contracts.progress import Projection
from runtime.api_client import ApiClient
from tests.support.api import milestone, projection, running_api, served
from workers.sandbox import build_runner

_WARM_UP = 5


async def measure(options: argparse.Namespace) -> Findings:
    in_api = await api_writes(options.writes)
    async with temporal_client() as client:
        in_temporal, events = await activities(client, options.writes, options.rounds)
    rows = [
        ["API and PostgreSQL, over HTTP", f"{in_api.p50:.1f} ms", f"{in_api.p25:.1f} to {in_api.p75:.1f} ms", "-"],
        [
            "Temporal, with an API that takes no time", f"{in_temporal.p50:.1f} ms",
            f"{in_temporal.p25:.1f} to {in_temporal.p75:.1f} ms", f"{events:.1f}",
        ],
    ]  # fmt: skip
    return Findings(
        tables=[Table(["One projection", "p50", "Quartiles", "Events"], rows)],
        figures={"api": asdict(in_api), "temporal": asdict(in_temporal), "events": events},
        remarks=[
            "One after the other, with a workflow task between any two. Workflows write projections in parallel "
            "with their work and wait only for the first and the last of a task."
        ],
    )


async def api_writes(count: int) -> Spread:
    """Milestones of one task, each written through the client that the Temporal workers use."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with running_api(Path(directory)) as api, served(api.app) as url:
            project = await api.new_project(api.admin)
            task_id = await api.new_task(project)
            key = api.platform["Authorization"].removeprefix("Bearer ")
            async with ApiClient(url, key) as platform:
                said = [_said(task_id, project, seq) for seq in range(2, count + 2 + _WARM_UP)]
                laps = [await timed(partial(platform.apply_projection, one)) for one in said]
    return Spread.of([lap.wall for lap in laps[_WARM_UP:]])


def _said(task_id: str, project: str, seq: int) -> Projection:
    said = milestone(f"The Developer is working, turn {seq}.")
    return Projection.model_validate(projection(task_id, project, seq=seq, stage="developing", milestone=said))


async def activities(client: Client, count: int, rounds: int) -> tuple[Spread, float]:
    """Milliseconds and events of one projection, from runs with `count` of them and runs with one."""
    worker = Worker(
        client, task_queue=Queue.ORCHESTRATOR, workflows=[TellingWorkflow],
        activities=[ProjectionActivities(QuietPlatform()).apply], workflow_runner=build_runner(),
    )  # fmt: skip
    async with worker:
        await _told(client, 1)
        taken = []
        for _ in range(rounds):
            (few, fewer), (many, more) = await _told(client, 1), await _told(client, count + 1)
            taken.append((many - few) / count)
    return Spread.of(taken), (more - fewer) / count


async def _told(client: Client, lines: int) -> tuple[float, int]:
    """Milliseconds and events of one run."""
    workflow_id = f"eng-{uuid4().hex[:10]}"

    async def run() -> None:
        await client.execute_workflow(TellingWorkflow.run, lines, id=workflow_id, task_queue=Queue.ORCHESTRATOR)

    lap = await timed(run)
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return lap.wall, len(history.events)


BENCHMARK = Benchmark("projection_cost", "Cost of a projection", {"writes": 50, "rounds": 5}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
