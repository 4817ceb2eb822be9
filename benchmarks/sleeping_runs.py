"""Memory of a Temporal worker by the number of engineering runs that wait for a person.

Each run is asked something by its agent in the first turn, and gets no answer: the engineering workflow and its
agent worker stay open. The Temporal worker is a process of its own, with nothing else in it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass

from temporalio.client import Client

from benchmarks.measuring import resident_mib
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.zero_time import CACHED, temporal_server
from tests.support.workflows.workflow_world import World

_STARTS_AT_ONCE = 25


@dataclass(frozen=True)
class Level:
    """The Temporal worker with this many open runs."""

    open_runs: int
    resident_mib: float


async def measure(options: argparse.Namespace) -> Findings:
    async with temporal_server() as server:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.setups.asking_worker", server.address, str(server.key_file),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            levels = await _levels(await server.client(), worker, options.runs, options.steps)
        finally:
            worker.terminate()
            await worker.wait()
    return _findings(levels)


async def _levels(client: Client, worker: asyncio.subprocess.Process, runs: int, steps: int) -> list[Level]:
    """The first level is a worker that has run once: libraries are loaded by then."""
    world = World(client)
    levels: list[Level] = []
    reports = _waiting(worker)
    async with aclosing(reports):
        for wanted in [1, *(runs * step // steps for step in range(1, steps + 1))]:
            await _open(world, wanted - (levels[-1].open_runs if levels else 0))
            async for waiting in reports:
                if waiting >= wanted:
                    break
            levels.append(Level(wanted, resident_mib(worker.pid)))
    return levels


async def _waiting(worker: asyncio.subprocess.Process) -> AsyncGenerator[int, None]:
    """What the worker counts; the Temporal core writes its warnings into the same stream."""
    assert worker.stdout is not None
    while line := await worker.stdout.readline():
        if line.strip().isdigit():
            yield int(line)
    raise RuntimeError(f"the worker has ended with {await worker.wait()}")


async def _open(world: World, count: int) -> None:
    gate = asyncio.Semaphore(_STARTS_AT_ONCE)

    async def start() -> None:
        async with gate:
            await world.gateway.start_engineering(world.engineering())

    await asyncio.gather(*(start() for _ in range(count)))


def _findings(levels: list[Level]) -> Findings:
    first, last = levels[0], levels[-1]
    per_thousand = (last.resident_mib - first.resident_mib) / (last.open_runs - first.open_runs) * 1000
    return Findings(
        tables=[
            Table(
                ["Open engineering runs", "Memory of the Temporal worker"],
                [[f"{one.open_runs:,}", f"{one.resident_mib:.0f} MiB"] for one in levels],
            )
        ],
        figures={"levels": [asdict(one) for one in levels], "mib_per_thousand": per_thousand},
        remarks=[
            f"**{per_thousand:.0f} MiB per 1,000 open runs** (two workflows each, so 2,000). A worker keeps at most "
            f"{CACHED:,} workflows in memory; an older one is replayed when it continues."
        ],
    )


BENCHMARK = Benchmark("sleeping_runs", "Memory of sleeping runs", {"runs": 400, "steps": 2}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
