"""The successor of a killed Temporal worker hands back what it held: nothing waits half an hour for a time-out."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError

from contracts.errors import ErrorCode
from runtime import keyring
from runtime.settings import Settings
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.long_step import connected, working
from tests.support.workflows.temporal_server import running_temporal_server
from workers import held_steps
from workers.held_steps import take_over


@dataclass
class Platform:
    home: Path
    client: Client
    queue: str = field(default_factory=lambda: f"queue-{uuid4().hex[:8]}")

    async def start(self) -> WorkflowHandle[object, object]:
        return await self.client.start_workflow(
            "test.long_step", str(self.home), id=f"test/{uuid4()}", task_queue=self.queue
        )

    async def worker(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.workflows.long_step", str(self.home), self.queue, env=dict(os.environ)
        )

    def begun(self) -> list[str]:
        file = self.home / "begun"
        return file.read_text().splitlines() if file.exists() else []

    def held(self) -> list[Path]:
        """The steps that are written down."""
        return [file for file in (self.home / "held").glob("[!.]*/*") if file.name != "lock"]


@pytest_asyncio.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_temporal_server(tmp_path_factory.mktemp("temporal")) as address:
        yield address


@pytest_asyncio.fixture
async def platform(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    keyring.create_if_absent(Settings(home=tmp_path).codec_key_file)
    return Platform(tmp_path, await connected(tmp_path))


async def in_its_step(platform: Platform) -> tuple[WorkflowHandle[object, object], asyncio.subprocess.Process]:
    handle, worker = await platform.start(), await platform.worker()
    await eventually(lambda: platform.begun() == ["1 []"], timeout=30)

    async def is_heard() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(one.HasField("heartbeat_details") for one in pending)

    _: bool = await eventually(is_heard, timeout=30)
    return handle, worker


async def test_a_killed_workers_step_goes_on_with_its_successor_at_once(platform: Platform) -> None:
    handle, worker = await in_its_step(platform)
    worker.kill()
    await worker.wait()
    async with working(platform.home, platform.queue) as taken:
        assert taken == 1
        # The heartbeat time-out is half an hour, and a retry would wait 20 minutes.
        assert await within(handle.result(), 20) == ["so far"]
    assert platform.begun() == ["1 []", "2 ['so far']"]
    assert list((platform.home / "held").iterdir()) == []


async def test_what_a_living_worker_holds_is_left_alone(platform: Platform) -> None:
    _, worker = await in_its_step(platform)
    try:
        assert await take_over(platform.client, platform.home / "held") == 0
        async with working(platform.home, platform.queue) as taken:
            assert taken == 0
            await asyncio.sleep(1)
        assert platform.begun() == ["1 []"]
        assert len(platform.held()) == 1
    finally:
        worker.kill()
        await worker.wait()


@pytest.mark.deep
async def test_a_step_that_is_to_be_cancelled_is_left_to_its_time_out(platform: Platform) -> None:
    """A failure would end it as failed: the workflow must hear of the cancellation, and stops what goes on."""
    handle, worker = await in_its_step(platform)
    os.kill(worker.pid, 19)
    await handle.cancel()

    async def is_asked_to_end() -> bool:
        described = await handle.describe()
        return any("CANCEL" in str(one) for one in described.raw_description.pending_activities)

    async with working(platform.home, platform.queue):
        _: bool = await eventually(is_asked_to_end, timeout=30)
    worker.kill()
    await worker.wait()
    assert await take_over(platform.client, platform.home / "held") == 0


@pytest.mark.deep
async def test_several_successors_hand_a_step_back_once(platform: Platform) -> None:
    handle, worker = await in_its_step(platform)
    worker.kill()
    await worker.wait()
    taken = await asyncio.gather(*(take_over(platform.client, platform.home / "held") for _ in range(5)))
    assert sum(taken) == 1
    async with working(platform.home, platform.queue) as more:
        assert more == 0
        await within(handle.result(), 20)
    assert len(platform.begun()) == 2


@pytest.mark.deep
async def test_a_step_that_kills_every_worker_is_not_tried_without_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new process would begin to count anew how often it was given up."""
    monkeypatch.setattr(held_steps, "MAX_DEATHS", 1)
    handle, worker = await in_its_step(platform)
    worker.kill()
    await worker.wait()
    async with working(platform.home, platform.queue):
        with pytest.raises(WorkflowFailureError) as ended:
            await within(handle.result(), 20)
    step = ended.value.cause
    assert isinstance(step, ActivityError)
    assert isinstance(step.cause, ApplicationError)
    assert (step.cause.type, step.cause.non_retryable) == (ErrorCode.INTERNAL, True)
    assert platform.begun() == ["1 []"]
    assert list((platform.home / "held").iterdir()) == []


def test_deaths_are_counted_in_a_row_and_only_soon_after_the_beginning(tmp_path: Path) -> None:
    step = held_steps.Step("", "w", "run", "t", "1", "a", "q", 1)
    deaths, now = held_steps.Deaths(tmp_path), time.time()
    for began, counted in ((now, 1), (now, 2), (now - 2 * held_steps.SOON_S, 1), (now, 2)):
        deaths.add(step, began)
        assert (deaths.of("run", "1"), deaths.of("run", "2")) == (counted, 0)
    deaths.forget("run", "1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", '{"token": 1}', "[]", '{"token": "%%", "workflow_id": "x"}'])
async def test_what_cannot_be_read_is_removed_and_holds_up_nothing(platform: Platform, content: str) -> None:
    place = platform.home / "held" / "broken"
    place.mkdir(parents=True)
    (place / "lock").touch()
    (place / "step").write_text(content)
    (platform.home / "held" / "a file").touch()
    assert await take_over(platform.client, platform.home / "held") == 0
    assert not place.exists()
