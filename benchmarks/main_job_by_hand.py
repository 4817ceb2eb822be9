"""A main job in containers against the same steps in a shell script (`main_job_by_hand.sh`).

Both sides take one sentence to a URL that answers from outside, with the same parts, images, limits and server. A
server with cached packages is that of a platform in use; a new server has just been made, for each side its own,
with a platform that has just begun.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import LocalServers
from benchmarks.main_jobs import WISH, job
from benchmarks.measuring import Ratio, Spread
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.by_hand import ByHand, Steps
from contracts.states import TaskState
from runtime.api_client import ApiClient
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack, running_stack

Pairs = list[tuple[Steps, Steps]]
"""Each with the platform's run first."""

_KNOWN, _NEW = "with cached packages", "new"
_GOALS = {_KNOWN: 1.3, _NEW: 1.5}
SAME_WORK: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Project from the template": (("engineering: scaffolding",), ("scaffold",)),
    "Agent, its commit taken": (("engineering: developing",), ("develop",)),
    "Checks in a clean copy": (("engineering: testing",), ("test",)),
    "Main moved, workspace removed": (("engineering: publishing",), ("publish",)),
    "Build, candidate, live": (("deploy: deploying",), ("build", "candidate", "live")),
    "Probe from outside": (("deploy: probing",), ("probe",)),
}
"""Stages of the platform, and the steps of the script that do the same."""


async def measure(options: argparse.Namespace) -> Findings:
    problem = no_engine()
    if problem is not None:
        return Findings([], {}, [f"Not measured: {problem}"])
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        by_hand = await ByHand.prepared(Path(directory) / "by-hand")
        try:
            measured = {
                _KNOWN: await known_server(by_hand, Path(directory), options.pairs),
                _NEW: await new_servers(by_hand, Path(directory), options.new_servers),
            }
        finally:
            await by_hand.close()
    return _findings({server: pairs for server, pairs in measured.items() if pairs})


async def known_server(by_hand: ByHand, directory: Path, count: int) -> Pairs:
    """Pairs on one server, after one unmeasured run of each."""
    async with _platform(directory) as (stack, api):
        access = await LocalServers(stack.home).access(CONTAINER_SERVER)
        await by_platform(api)
        await by_hand.job(WISH, access)
        return await interleaved(lambda: by_platform(api), lambda: by_hand.job(WISH, access), count)


async def new_servers(by_hand: ByHand, directory: Path, count: int) -> Pairs:
    """Each run on a server that was made for it. Making it is not measured, on neither side."""

    async def ours() -> Steps:
        async with _platform(directory) as (_, api):
            return await by_platform(api)

    async def theirs() -> Steps:
        servers = LocalServers(directory / "servers")
        handle = f"new-{uuid4().hex[:8]}"
        try:
            return await by_hand.job(WISH, await servers.access(handle))
        finally:
            await servers.remove(handle)

    return await interleaved(ours, theirs, count)


async def interleaved(
    ours: Callable[[], Awaitable[Steps]], theirs: Callable[[], Awaitable[Steps]], count: int
) -> Pairs:
    """One run of each after the other; who is first alternates."""
    pairs = []
    for number in range(count):
        if number % 2:
            second = await theirs()
            pairs.append((await ours(), second))
        else:
            first = await ours()
            pairs.append((first, await theirs()))
    return pairs


async def by_platform(api: ApiClient) -> Steps:
    """Raises RuntimeError when the job did not end at a URL that answers."""
    done = await job(api)
    if done.task.state is not TaskState.COMPLETED or not done.answers:
        raise RuntimeError(f"{done.task.id} is {done.task.state}: {done.task.error or 'its URL does not answer'}")
    return Steps(done.seconds, done.stages)


@asynccontextmanager
async def _platform(directory: Path) -> AsyncIterator[tuple[Stack, ApiClient]]:
    """A new platform that works in containers, with a new server."""
    home = directory / f"platform-{uuid4().hex[:8]}" / "home"
    home.parent.mkdir()
    async with (
        running_stack(home, stop_services=False, ORCHESTRATOR_RUNTIME="docker") as stack,
        ApiClient(f"http://127.0.0.1:{stack.port_base}", stack.admin_key()) as api,
    ):
        yield stack, api


def _findings(measured: dict[str, Pairs]) -> Findings:
    columns = ["Server", "Pairs", "Platform p50", "By hand p50", "Ratio", "Quartiles", "95 % of medians"]
    rows = [_row(server, pairs) for server, pairs in measured.items()]
    return Findings(
        tables=[Table(columns, rows), *(_steps(server, pairs) for server, pairs in measured.items())],
        figures={server: _figures(pairs) for server, pairs in measured.items()},
        remarks=[f"A server {server}: goal at most {_GOALS[server]}." for server in measured],
    )


def _ratio(pairs: Pairs) -> Ratio:
    return Ratio.of([(ours.seconds, theirs.seconds) for ours, theirs in pairs])


def _row(server: str, pairs: Pairs) -> list[str]:
    ratio = _ratio(pairs)
    ours, theirs = (Spread.of([pair[side].seconds for pair in pairs]).p50 for side in (0, 1))
    return [
        server, str(len(pairs)), f"{ours:.1f} s", f"{theirs:.1f} s", f"**{ratio.median:.2f}**",
        f"{ratio.p25:.2f} to {ratio.p75:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}",
    ]  # fmt: skip


def _steps(server: str, pairs: Pairs) -> Table:
    """Medians. What a side does beside the work that both do is its rest."""
    ours = by_work([pair[0] for pair in pairs], 0)
    theirs = by_work([pair[1] for pair in pairs], 1)
    rows = [
        [work, f"{ours[work]:.2f} s", f"{theirs[work]:.2f} s", f"{ours[work] - theirs[work]:+.2f} s"] for work in ours
    ]
    return Table([f"Work, server {server}", "Platform p50", "By hand p50", "Difference"], rows)


def by_work(runs: list[Steps], side: int) -> dict[str, float]:
    found: dict[str, list[float]] = {work: [] for work in [*SAME_WORK, "The rest"]}
    for run in runs:
        taken = {work: sum(run.steps[name] for name in names[side]) for work, names in SAME_WORK.items()}
        for work, seconds in [*taken.items(), ("The rest", run.seconds - sum(taken.values()))]:
            found[work].append(seconds)
    return {work: Spread.of(seconds).p50 for work, seconds in found.items()}


def _figures(pairs: Pairs) -> dict[str, object]:
    return {"ratio": asdict(_ratio(pairs)), "pairs": [[asdict(one) for one in pair] for pair in pairs]}


BENCHMARK = Benchmark(
    "main_job_by_hand", "A main job against the same steps by hand", {"pairs": 6, "new_servers": 3}, measure
)

if __name__ == "__main__":
    main(BENCHMARK)
