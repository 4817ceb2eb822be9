"""Parts of the platform are down, frozen or out of space during a delivery: it ends as if nothing had happened.

Not here: a jump of the clock, since the machine is shared. `docs/operations.md` says what each part does with one.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.errors import ErrorCode
from tests.chaos.conftest import SENTENCE
from tests.support.eventually import eventually
from tests.support.kills.judging import Delivery, Evidence, judge
from tests.support.kills.killing import frozen
from tests.support.kills.run import deliver, end_of, gather_evidence, running
from tests.support.kills.traces import ProcessTraces
from tests.support.stack import Stack

pytestmark = [pytest.mark.timeout(240), pytest.mark.deep]

TURN = 0
SLOW = f"{SENTENCE} [agent:slow=6]"
STARTS_WITHIN_S = 90
ENDS_WITHIN_S = 150


@pytest.fixture
def stack(processes: ProcessTraces) -> Stack:
    return processes.stack


async def assert_same_end(processes: ProcessTraces, delivery: Delivery, unkilled: Evidence) -> None:
    task = await end_of(processes.stack, delivery.task_id, ENDS_WITHIN_S)
    assert task["state"] == "completed", task
    assert judge(await gather_evidence(processes, delivery), unkilled, delivery.release) == []


async def fine_events(stack: Stack, delivery: Delivery) -> list[tuple[str | None, str]]:
    """What people see of the agent's turn, in order."""
    found = (await stack.get(f"/tasks/{delivery.engineering}/events"))["items"]
    return [
        (one["event"]["current_step"], _without_ids(one["event"]["message"])) for one in found if one["grain"] == "fine"
    ]


def _without_ids(message: str | None) -> str:
    """Without hashes, times and the line that pytest draws around them."""
    return " ".join(word for word in (message or "").split() if not re.search(r"\d|={3}", word))


@asynccontextmanager
async def down(stack: Stack, part: str) -> AsyncIterator[None]:
    """A part that was killed and is not restarted before the end of the block."""
    pid = stack.pid_of(part)
    with frozen(stack.pid_of("supervisor")):
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not _lives(pid), 10, message=f"the end of {part}")
        yield


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_an_api_that_is_down_for_ten_seconds_of_a_turn_gets_every_event_later(
    processes: ProcessTraces, stack: Stack, unkilled: Evidence
) -> None:
    calm = await deliver(stack, SLOW)
    await assert_same_end(processes, calm, unkilled)

    delivery = await deliver(stack, SLOW)
    run = await running(processes, delivery.work[TURN], STARTS_WITHIN_S)
    async with down(stack, "api"):
        await asyncio.sleep(10)  # how long it is down
    await assert_same_end(processes, delivery, unkilled)
    assert [one.identity for one in processes.runs(delivery.work[TURN])] == [run]
    assert await fine_events(stack, delivery) == await fine_events(stack, calm)


async def test_an_api_that_hangs_for_ten_seconds_changes_nothing(
    processes: ProcessTraces, stack: Stack, unkilled: Evidence
) -> None:
    delivery = await deliver(stack, SLOW)
    await running(processes, delivery.work[TURN], STARTS_WITHIN_S)
    with frozen(stack.pid_of("api")):
        await asyncio.sleep(10)  # how long it hangs
    await assert_same_end(processes, delivery, unkilled)


async def test_a_database_that_is_down_for_twenty_seconds_changes_nothing(
    processes: ProcessTraces, stack: Stack, unkilled: Evidence
) -> None:
    delivery = await deliver(stack, SLOW)
    await running(processes, delivery.work[TURN], STARTS_WITHIN_S)
    async with down(stack, "postgres"):
        await asyncio.sleep(20)  # how long it is down
    await assert_same_end(processes, delivery, unkilled)


async def test_work_waits_for_space_on_the_disk_of_artifacts_and_says_so(
    processes: ProcessTraces, stack: Stack, unkilled: Evidence
) -> None:
    with small_disk(stack.home / "artifacts") as grow:
        delivery = await deliver(stack, SENTENCE)
        _: bool = await eventually(
            lambda: disk_is_full(stack, delivery),
            60,
            interval=0.5,
            message="an activity that says that the disk is full",
        )
        assert (await stack.task(delivery.task_id))["state"] == "running"
        disks, alerts = (await stack.get("/health"))["disks"], (await stack.get("/queues"))["alerts"]
        assert [disk["name"] for disk in disks if disk["state"] == "full"] == ["artifacts"]
        assert [alert["subject"] for alert in alerts if alert["kind"] == "disk_full"] == ["artifacts"]
        grow()
        task = await end_of(stack, delivery.task_id, ENDS_WITHIN_S)
        assert task["state"] == "completed", task
        assert judge(await gather_evidence(processes, delivery), unkilled, delivery.release) == []
        for row in (await stack.get("/tasks", project_id=delivery.project_id))["items"]:
            for artifact in row["artifacts"]:
                path = stack.home / "artifacts" / artifact["sha256"][:2] / artifact["sha256"]
                assert path.stat().st_size == artifact["size_bytes"]


async def disk_is_full(stack: Stack, delivery: Delivery) -> bool:
    """Whether Temporal shows a waiting retry with the code of a full disk."""
    client = await stack.client()
    async for found in client.list_workflows(f"TaskId = '{delivery.engineering}' AND ExecutionStatus = 'Running'"):
        raw = (await client.get_workflow_handle(found.id).describe()).raw_description
        if ErrorCode.ARTIFACT_DISK_FULL in {
            one.last_failure.application_failure_info.type for one in raw.pending_activities
        }:
            return True
    return False


@contextmanager
def small_disk(directory: Path) -> Iterator[Any]:
    """A file system of a few kilobytes in the place of a directory; yields what makes it large.

    Afterwards everything is in the directory itself.
    """
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("NOT TESTED: a full disk needs root and `mount`")
    directory.mkdir(mode=0o700, exist_ok=True)
    mounted = _run("mount", "-t", "tmpfs", "-o", "size=4k,mode=0700", "tmpfs", str(directory))
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a full disk needs `mount`, and here it says: {mounted.stderr.strip()}")
    try:
        yield lambda: _run("mount", "-o", "remount,size=200m", str(directory)).check_returncode()
    finally:
        kept = directory.with_name("artifacts.kept")
        shutil.copytree(directory, kept, dirs_exist_ok=True)
        _run("umount", str(directory)).check_returncode()
        shutil.copytree(kept, directory, dirs_exist_ok=True)
        shutil.rmtree(kept)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
