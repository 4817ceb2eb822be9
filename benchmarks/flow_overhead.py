"""The engineering flow with steps that take no time, against the same flow written by hand on Temporal alone."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from temporalio.client import Client

from benchmarks.measuring import Lap, Ratio, Spread, interleaved
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.bare_flow import bare
from benchmarks.setups.zero_time import CACHED, engineering, temporal_client
from workers.sandbox import build_runner


@dataclass(frozen=True)
class Recorded:
    """What a flow leaves in Temporal: the parent and its child together."""

    events: int
    bytes: int
    workflow_tasks: int
    activities: int


async def measure(options: argparse.Namespace) -> Findings:
    runner = build_runner() if options.tuned_bare else None
    async with temporal_client() as client, engineering(client) as ours, bare(client, CACHED, runner) as theirs:
        for _ in range(options.warm_up):
            await ours.flow()
            await theirs.flow()
        pairs = await interleaved(ours.flow, theirs.flow, options.pairs)
        left = [
            await recorded(client, "engineering", "worker", await ours.flow()),
            await recorded(client, "bare-engineering", "bare-agent", await theirs.flow()),
        ]
    return _findings(pairs, left, bool(options.tuned_bare))


async def recorded(client: Client, parent: str, child: str, workflow_id: str) -> Recorded:
    """What one flow has left."""
    ids = (workflow_id, workflow_id.replace(f"{parent}/", f"{child}/"))
    events = [event for one in ids for event in (await client.get_workflow_handle(one).fetch_history()).events]
    return Recorded(
        events=len(events),
        bytes=sum(event.ByteSize() for event in events),
        workflow_tasks=sum(event.HasField("workflow_task_completed_event_attributes") for event in events),
        activities=sum(event.HasField("activity_task_scheduled_event_attributes") for event in events),
    )


def _findings(pairs: list[tuple[Lap, Lap]], left: list[Recorded], tuned: bool) -> Findings:
    ratio, cpu = Ratio.of_laps(pairs), Ratio.of([(ours.cpu, theirs.cpu) for ours, theirs in pairs])
    names = ("engineering", "bare workflow, our sandbox" if tuned else "bare workflow")
    return Findings(
        tables=[
            Table(
                ["Flow", "p50", "Quartiles", "Processor p50", "Events", "Bytes", "Workflow tasks", "Activities"],
                [_row(names[side], [pair[side] for pair in pairs], left[side]) for side in (0, 1)],
            )
        ],
        figures={
            "ratio": asdict(ratio),
            "processor_ratio": asdict(cpu),
            "recorded": [asdict(one) for one in left],
            "pairs": [[asdict(lap) for lap in pair] for pair in pairs],
        },
        remarks=[
            f"Ratio of {ratio.pairs} interleaved pairs: **{ratio}**; goal at most 1.15.",
            f"Ratio of processor time in the process of client and Temporal workers: {cpu}.",
        ],
    )


def _row(name: str, laps: list[Lap], kept: Recorded) -> list[str]:
    wall, cpu = Spread.of([lap.wall for lap in laps]), Spread.of([lap.cpu for lap in laps])
    times = [f"{wall.p50:.0f} ms", f"{wall.p25:.0f} to {wall.p75:.0f} ms", f"{cpu.p50:.0f} ms"]
    return [name, *times, *(f"{number:,}" for number in asdict(kept).values())]


BENCHMARK = Benchmark(
    "flow_overhead", "Engineering flow with zero-time steps against a bare Temporal workflow",
    {"pairs": 30, "warm_up": 5, "tuned_bare": 0}, measure,
)  # fmt: skip

if __name__ == "__main__":
    main(BENCHMARK)
