"""Engineering flows with zero-time steps, many at once: how many a second, and how long each takes then."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from benchmarks.measuring import Spread, timed
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.bare_flow import bare
from benchmarks.setups.zero_time import CACHED, engineering, temporal_client


@dataclass(frozen=True)
class Rate:
    """What many flows at once came to; `latency` in milliseconds."""

    per_second: float
    latency: Spread


async def measure(options: argparse.Namespace) -> Findings:
    async with temporal_client() as client, engineering(client) as ours, bare(client, CACHED) as theirs:
        await ours.flow()
        await theirs.flow()
        rates = {
            "engineering": await rate(ours.flow, options.flows, options.at_once),
            "bare workflow": await rate(theirs.flow, options.flows, options.at_once),
        }
    rows = [
        [name, f"{one.per_second:.1f}", f"{one.latency.p50:,.0f} ms", f"{one.latency.p95:,.0f} ms"]
        for name, one in rates.items()
    ]
    return Findings(
        tables=[Table([f"Flow, {options.at_once} at once", "Flows/s", "p50", "p95"], rows)],
        figures={name: asdict(one) for name, one in rates.items()},
        remarks=["Client, Temporal workers and Temporal server share the machine; each flow is two workflows."],
    )


async def rate(flow: Callable[[], Awaitable[object]], flows: int, at_once: int) -> Rate:
    """Run `flows` of them, `at_once` at any time."""
    waiting, taken = iter(range(flows)), []

    async def one_after_the_other() -> None:
        for _ in waiting:
            taken.append((await timed(flow)).wall)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return Rate(flows / (time.perf_counter() - started), Spread.of(taken))


BENCHMARK = Benchmark("flow_rate", "Engineering flows per second", {"flows": 200, "at_once": 50}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
