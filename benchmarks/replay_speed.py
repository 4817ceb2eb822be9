"""How fast today's workflow code replays the golden histories: what a Temporal worker does with a run that it does not
have in memory, such as each one after a restart."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import WorkflowHistory

from benchmarks.measuring import Spread
from benchmarks.reporting import Benchmark, Findings, Table, main
from tests.replay.record_histories import GOLDEN, file_of
from workers.replay import each, load, replay
from workers.sandbox import compile_workflows


@dataclass(frozen=True)
class Speed:
    """Of all histories of one workflow."""

    workflow: str
    histories: int
    events: int
    per_second: Spread


async def measure(options: argparse.Namespace) -> Findings:
    compile_workflows()
    speeds = [await speed(workflow, files, options.rounds) for workflow, files in golden().items()]
    rows = [
        [
            one.workflow, str(one.histories), f"{one.events:,}", f"{one.per_second.p50:,.0f}",
            f"{one.per_second.p25:,.0f} to {one.per_second.p75:,.0f}",
            f"{one.events / one.histories / one.per_second.p50 * 1000:.0f} ms",
        ]
        for one in speeds
    ]  # fmt: skip
    columns = ["Workflow", "Histories", "Events", "Events/s", "Quartiles", "One history"]
    return Findings(
        tables=[Table(columns, rows)],
        figures={one.workflow: asdict(one) for one in speeds},
        remarks=[f"All golden histories of a workflow, {options.rounds} rounds, in the sandbox, one process."],
    )


def golden() -> dict[str, list[Path]]:
    """The recorded histories by workflow."""
    found: dict[str, list[Path]] = defaultdict(list)
    for workflow, names in GOLDEN.items():
        found[str(workflow)] += [file_of(workflow, name) for name in names]
    return dict(found)


async def speed(workflow: str, files: list[Path], rounds: int) -> Speed:
    """One round to warm up, then as many as asked for."""
    histories = [load(file) for file in files]
    events = sum(len(history.events) for history in histories)
    per_second = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        verdicts = await replay(each(_again(histories, number)))
        taken = time.perf_counter() - started
        failed = [verdict for verdict in verdicts if verdict.failure is not None]
        if failed:
            raise RuntimeError(f"{failed[0].workflow_id}: {failed[0].failure}")
        if number:
            per_second.append(events / taken)
    return Speed(workflow, len(histories), events, Spread.of(per_second))


def _again(histories: list[WorkflowHistory], number: int) -> Iterator[WorkflowHistory]:
    for history in histories:
        yield WorkflowHistory(f"{history.workflow_id}-{number}", history.events)


BENCHMARK = Benchmark("replay_speed", "Replay of the golden histories", {"rounds": 10}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
