"""A task queue that loses its Temporal worker is named within a minute, with what waits for it; then work continues.

Here every queue has a worker process of its own, as on several hosts, and a dead one is not restarted.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cli.host.parts import environment
from cli.host.processes import start_time
from contracts.ids import child_task_id
from contracts.names import Queue
from contracts.states import TaskKind
from tests.e2e.conftest import OFTEN, Traced
from tests.support.eventually import eventually
from tests.support.patience import promised
from tests.support.ports import any_free
from tests.support.stack import ROOT, Stack, running_stack

pytestmark = pytest.mark.timeout(400)

PROMISED_S = 60.0
AS_SHIPPED: dict[str, str] = {}
WISH = "A library with books: title, author, year:int [agent:slow=4]"


@dataclass
class Workers:
    """One Temporal worker process for each queue."""

    stack: Stack
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    metrics: str = field(default_factory=lambda: f"127.0.0.1:{any_free()}")

    async def start(self, queue: str) -> None:
        """Start the worker of a queue, and wait until it polls."""
        ready = self.stack.home / f"{queue}.ready"
        ready.unlink(missing_ok=True)
        extra = {"ORCHESTRATOR_READY_FILE": str(ready)}
        if queue == Queue.INFRA:
            extra["ORCHESTRATOR_WORKERS_METRICS"] = self.metrics
        with (self.stack.home / "logs" / f"workers-{queue}.log").open("ab") as log:
            self.running[queue] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "workers", queue,
                cwd=ROOT, env=environment({**self.stack.env, **extra}),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        process = self.running[queue]
        await eventually(lambda: ready.exists() or process.returncode is not None, 60, message=f"a worker on {queue}")
        assert process.returncode is None, Path(log.name).read_text()[-3000:]

    async def stop(self, queue: str, how: signal.Signals = signal.SIGKILL) -> None:
        process = self.running.pop(queue)
        if process.returncode is None:
            process.send_signal(how)
        await process.wait()


@pytest_asyncio.fixture(scope="module")
async def workers(request: pytest.FixtureRequest, without_docker: Traced) -> AsyncIterator[Workers]:
    often = request.param is OFTEN
    async with _borrowed(without_docker.stack) if often else _own_platform() as stack:
        await _without_workers(stack)
        workers = Workers(stack)
        try:
            await asyncio.gather(*(workers.start(queue) for queue in Queue.ALL))
            yield workers
            missing = set(Queue.ALL) - set(workers.running)
            await asyncio.gather(*(workers.start(queue) for queue in missing))
            if not often:
                # services are stopped through the platform
                await stack.cli("down", "--services")
        finally:
            for queue in list(workers.running):
                await workers.stop(queue)


@asynccontextmanager
async def _borrowed(stack: Stack) -> AsyncIterator[Stack]:
    """The platform that other tests use too; it gets its own workers back. It differs only in how often they beat."""
    try:
        yield stack
    finally:
        assert (await stack.cli("up", "--detach")).code == 0


@asynccontextmanager
async def _own_platform() -> AsyncIterator[Stack]:
    with TemporaryDirectory(prefix="never-stuck-") as directory, pytest.MonkeyPatch.context() as chosen:
        # A turn is seen to begin by its process, wherever Docker can be reached.
        chosen.setenv("ORCHESTRATOR_RUNTIME", "process")
        async with running_stack(Path(directory) / "home", ORCHESTRATOR_LOG_JSON="true", **AS_SHIPPED) as stack:
            yield stack


async def _without_workers(stack: Stack) -> None:
    """Keep the stack's own workers from being restarted."""
    for part, how in (("supervisor", signal.SIGKILL), ("workers", signal.SIGTERM)):
        pid = stack.pid_of(part)
        os.kill(pid, how)
        await eventually(partial(_has_ended, pid), 40, message=f"the end of {part}")


def _has_ended(pid: int) -> bool:
    return start_time(pid) is None


@pytest.mark.parametrize(
    ("workers", "queue", "how"),
    [
        pytest.param(OFTEN, Queue.AGENTS, signal.SIGKILL, id="agents, killed"),
        pytest.param(AS_SHIPPED, Queue.AGENTS, signal.SIGKILL, id="agents, killed, as shipped", marks=pytest.mark.deep),
        pytest.param(
            AS_SHIPPED,
            Queue.ORCHESTRATOR,
            signal.SIGTERM,
            id="orchestrator, told to stop, as shipped",
            marks=pytest.mark.deep,
        ),
        pytest.param(AS_SHIPPED, Queue.INFRA, signal.SIGKILL, id="infra, killed, as shipped", marks=pytest.mark.deep),
    ],
    indirect=["workers"],
)
async def test_a_queue_without_its_worker_is_named_within_a_minute_and_continues_with_it(
    workers: Workers, queue: str, how: signal.Signals
) -> None:
    stack = workers.stack
    project = await stack.new_project()
    delivery = (await stack.ok("delivery", "start", "--project", project, WISH))["task_id"]
    step = child_task_id(delivery, TaskKind.DEPLOY if queue == Queue.INFRA else TaskKind.ENGINEERING)
    if queue == Queue.INFRA:
        await _a_deploy_begins(stack, delivery, step)
    else:
        await _a_turn_begins(stack, step)

    died = datetime.now(UTC)
    await workers.stop(queue, how)
    gone = datetime.now(UTC)
    for task in (step, delivery):
        found = await stack.wait(f"/tasks/{task}", _stalled, PROMISED_S, message=f"{task} naming its queue")
        assert found["stalled_queue"] == queue
    named_s = (_told_at(stack, queue) - died).total_seconds()
    assert 0 < named_s < promised(PROMISED_S)
    await _everybody_says_it(stack, queue, delivery, died, gone)

    await workers.start(queue)
    task = await stack.finished(delivery)
    assert task["state"] == "completed", task
    assert task["stalled_queue"] is None
    await stack.wait("/queues", lambda found: not found["alerts"], 15, message="no alert any more")
    if queue == Queue.AGENTS:
        # The one of the queue `infra` has carried out this delivery's deploy.
        await _shows_the_metrics_of_its_queue(workers)
    sys.stdout.write(f"{queue}: named {named_s:.1f} s after the end of its worker\n")


def _told_at(stack: Stack, queue: str) -> datetime:
    """When the API wrote its last alert about the queue, by its own log."""
    lines = (stack.home / "logs" / "api.log").read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    told = [one["timestamp"] for one in records if one.get("alert") == "queue_unserved" and one["queue"] == queue]
    return datetime.fromisoformat(told[-1])


async def _a_deploy_begins(stack: Stack, delivery: str, deploy: str) -> None:
    await stack.at_stage(delivery, "deploy", timeout=120)
    await eventually(lambda: _is_known(stack, deploy), 30, message="the deploy")
    await stack.at_stage(deploy, "deploying")


async def _is_known(stack: Stack, task: str) -> bool:
    async with stack.http() as http:
        return (await http.get(f"/tasks/{task}")).status_code == 200


async def _a_turn_begins(stack: Stack, engineering: str) -> None:
    def begun() -> bool:
        return any((stack.home / "runs").glob(f"turn-{engineering}-*/status.json"))

    await eventually(begun, 90, message="the agent's turn")


def _stalled(task: dict[str, Any]) -> dict[str, Any] | None:
    return task if task["stalled_queue"] else None


async def _everybody_says_it(stack: Stack, queue: str, delivery: str, died: datetime, gone: datetime) -> None:
    """`died`: when its Temporal worker was killed or told to stop, `gone`: when it was seen to have ended."""
    report = await stack.get("/queues")
    [alert] = [alert for alert in report["alerts"] if alert["subject"] == queue]
    assert alert["kind"] == "queue_unserved"
    since = datetime.fromisoformat(alert["since"])
    # Its last beat was at most one interval before, and one that is told to stop beats until it has.
    assert died - timedelta(seconds=15) < since < gone + timedelta(seconds=1), "since the last sign of life"
    [entry] = [entry for entry in report["items"] if entry["name"] == queue]
    assert (entry["workers"], entry["unserved_since"]) == (0, alert["since"])
    assert all(not other["unserved_since"] for other in report["items"] if other["name"] != queue)

    note = f"no Temporal worker on queue {queue} since {since.astimezone().isoformat(sep=' ', timespec='seconds')}"
    shown, listed, status, doctor = await asyncio.gather(
        stack.cli("task", "show", delivery), stack.cli("task", "list"), stack.cli("status"), stack.cli("doctor")
    )
    assert f"no Temporal worker on queue {queue} since" in shown.out
    assert queue in _unwrapped(listed.out)
    assert "UNSERVED" in _unwrapped(status.out), note
    assert "ALERT queue_unserved" in status.out
    assert queue in status.out
    assert "UNSERVED" in _unwrapped(doctor.out)
    assert status.code == 6


def _unwrapped(table: str) -> str:
    return " ".join(table.split())


async def _shows_the_metrics_of_its_queue(workers: Workers) -> None:
    async with httpx.AsyncClient() as prometheus:
        text = (await prometheus.get(f"http://{workers.metrics}/metrics")).text
    assert "temporal_worker_task_slots_available" in text
    assert 'task_queue="infra"' in text
    assert 'temporal_activity_execution_latency_bucket{activity_type="devops-graph.probe"' in text
    assert 'le="3600"' in text
