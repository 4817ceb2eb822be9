"""A Temporal worker is killed in the middle of a step: how long until the step's next attempt runs.

Ours is that of `orchestrator up` with processes, whose agent works without end. Beside it a bare Temporal worker with
one long step, on a server of its own, which is started again the moment it is killed. Both have the same time-out for
a missing heartbeat. They are killed in turn, on the machine as it is and beside busy loops. Measured is from SIGKILL
until the server says that the next attempt has started.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Protocol

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowHandle

from benchmarks.measuring import Ratio, Spread
from benchmarks.reporting import Benchmark, Findings, Table, main
from benchmarks.setups.bare_step import HEARTBEAT_S, QUEUE, BareStep
from contracts import ids
from contracts.names import ActivityName
from contracts.states import TaskKind
from tests.gate.busy import busy
from tests.support.eventually import eventually
from tests.support.kills.run import deliver
from tests.support.stack import ROOT, Stack, running_stack
from tests.support.workflows.temporal_server import running_temporal_server
from workers.held_steps import WORKER_DIED

WISH = "A library with books: title, author, year:int [agent:hang]"
_GOAL_S = 3.0
_STEADY_S = 21.0
"""Only what has lived for 20 s is started again without a pause."""
_MIDDLE_S = 2.0
"""A step is in its middle once its heartbeats have arrived for a while."""
_PATIENCE_S = 120


@dataclass(frozen=True)
class Kill:
    """The attempt that was under way, the one that came next, and whether a successor handed the step back."""

    seconds: float
    before: int
    after: int
    handed_back: bool


class Side(Protocol):
    """One worker with one long step."""

    async def step(self) -> PendingActivityInfo:
        """The step as the server sees it."""

    async def steady(self) -> None:
        """Wait until a kill finds it in the middle of its step, and would be the first for a while."""

    async def kill(self) -> None:
        """SIGKILL, and whatever brings a successor."""


@dataclass
class Ours:
    stack: Stack
    handle: WorkflowHandle[Any, Any]
    _ready: asyncio.Task[float] | None = None

    async def step(self) -> PendingActivityInfo:
        return await _running(self.handle, ActivityName.AGENT_RUN_TURN)

    async def steady(self) -> None:
        since = await (self._ready or self._is_ready(0))
        await asyncio.sleep(since + _STEADY_S - time.monotonic())

    async def kill(self) -> None:
        pid = self.stack.pid_of("workers")
        os.kill(pid, signal.SIGKILL)
        self._ready = asyncio.create_task(self._is_ready(pid))

    async def _is_ready(self, killed: int) -> float:
        """When the supervisor saw the successor at work."""
        ready = self.stack.home / "processes" / "workers.ready"

        def there() -> bool:
            return ready.exists() and ready.read_text().strip() not in {"", str(killed)}

        await eventually(there, _PATIENCE_S, message="the successor")
        return time.monotonic()


@dataclass
class Bare:
    address: str
    handle: WorkflowHandle[Any, Any]
    process: asyncio.subprocess.Process

    async def step(self) -> PendingActivityInfo:
        return await _running(self.handle, "bare.long")

    async def steady(self) -> None:
        await asyncio.sleep(_MIDDLE_S)

    async def kill(self) -> None:
        self.process.kill()
        self.process = await _bare_worker(self.address)


async def measure(options: argparse.Namespace) -> Findings:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with ours(Path(directory) / "home") as platform, bare(Path(directory) / "temporal") as by_hand:
            measured = {"nothing beside it": await pairs(platform, by_hand, options.kills)}
            if options.busy:
                with busy(options.busy):
                    measured[f"beside {options.busy} busy loops"] = await pairs(platform, by_hand, options.kills)
            begun = sum(run["event"] == "start" for run in platform.stack.agent_runs())
    return _findings(measured, begun)


async def pairs(first: Side, second: Side, count: int) -> list[tuple[Kill, Kill]]:
    """So many kills of each in turn."""
    found = []
    for _ in range(count):
        await asyncio.gather(first.steady(), second.steady())
        found.append((await killed(first), await killed(second)))
    return found


async def killed(side: Side) -> Kill:
    """Kill it and wait until the step is under way again."""
    before = await side.step()
    at = time.time()
    await side.kill()

    async def next_attempt() -> PendingActivityInfo | None:
        step = await side.step()
        started = step.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        return step if started and step.attempt > before.attempt else None

    after: PendingActivityInfo | None = await eventually(
        next_attempt, _PATIENCE_S, interval=0.1, message="the next attempt"
    )
    assert after is not None
    seconds = after.last_started_time.ToDatetime(UTC).timestamp() - at
    why = after.last_failure.application_failure_info.type
    return Kill(seconds, before.attempt, after.attempt, why == WORKER_DIED)


async def _running(handle: WorkflowHandle[Any, Any], activity: str) -> PendingActivityInfo:
    described = await handle.describe()
    found = [one for one in described.raw_description.pending_activities if one.activity_type.name == activity]
    assert found, f"{activity} is not under way"
    return found[0]


@asynccontextmanager
async def ours(home: Path) -> AsyncIterator[Ours]:
    """A platform in whose engineering an agent works until it is stopped."""
    async with running_stack(home, ORCHESTRATOR_RUNTIME="process") as stack:
        delivery = await deliver(stack, WISH)
        engineering = ids.child_task_id(delivery.task_id, TaskKind.ENGINEERING)
        client = await stack.client()
        workflow_id = ids.agent_worker_workflow_id(ids.worker_id_for_task(engineering))
        await eventually(
            lambda: any(run["event"] == "start" for run in stack.agent_runs()), _PATIENCE_S, message="the agent's start"
        )
        try:
            yield Ours(stack, client.get_workflow_handle(workflow_id))
        finally:
            await stack.ok("task", "cancel", delivery.task_id)
            await stack.finished(delivery.task_id)


@asynccontextmanager
async def bare(directory: Path) -> AsyncIterator[Bare]:
    """A Temporal server as ours is, with one workflow in its one step."""
    async with running_temporal_server(directory) as address:
        client = await Client.connect(address)
        handle = await client.start_workflow(BareStep.run, id="bare-step", task_queue=QUEUE)
        side = Bare(address, handle, await _bare_worker(address))
        try:
            _: bool = await eventually(lambda: _has_step(side), _PATIENCE_S, message="the bare step")
            yield side
        finally:
            side.process.kill()
            await side.process.wait()


async def _has_step(side: Side) -> bool:
    return bool((await side.step()).state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)


async def _bare_worker(address: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.setups.bare_step", address, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )


def _findings(measured: dict[str, list[tuple[Kill, Kill]]], begun: int) -> Findings:
    rows = [row for machine, kills in measured.items() for row in _rows(machine, kills)]
    ratios = [
        f"{machine}: {Ratio.of([(one.seconds, other.seconds) for one, other in kills])}"
        for machine, kills in measured.items()
    ]
    return Findings(
        tables=[Table(["Killed Temporal worker", "Kills", "p50", "p95", "max", "Handed back", "Attempts lost"], rows)],
        figures={
            machine: {"kills": [[asdict(one) for one in pair] for pair in kills]} for machine, kills in measured.items()
        },
        remarks=[
            f"From SIGKILL until the next attempt of its step runs; goal for ours: p50 at most {_GOAL_S:g} s. Both "
            f"have a heartbeat time-out of {HEARTBEAT_S} s, and a successor that is started at once. "
            f"The agent of ours began {begun} time{'s' if begun != 1 else ''} in all.",
            f"Ratio of pairs, ours to bare: {'; '.join(ratios)}.",
        ],
    )


def _rows(machine: str, pairs: list[tuple[Kill, Kill]]) -> list[list[str]]:
    return [_row(f"{name}, {machine}", [pair[side] for pair in pairs]) for side, name in enumerate(("ours", "bare"))]


def _row(name: str, kills: list[Kill]) -> list[str]:
    spread = Spread.of([kill.seconds for kill in kills])
    times = [f"{value:.1f} s" for value in (spread.p50, spread.p95, spread.largest)]
    handed = sum(kill.handed_back for kill in kills)
    lost = kills[-1].after - kills[0].before - len(kills)  # by none of the kills
    return [name, str(len(kills)), *times, f"{handed} of {len(kills)}", str(lost)]


BENCHMARK = Benchmark("worker_kill", "A killed Temporal worker beside a bare one", {"kills": 10, "busy": 2}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
