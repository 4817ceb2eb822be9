"""A workflow with one long step, and a worker for it as a process of its own, which tests may kill.

`python -m tests.support.workflows.long_step HOME QUEUE` works until it is killed; `TEMPORAL_ADDRESS` names the server.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal import client as temporal_client
from workers.held_steps import HeldSteps, take_over


@activity.defn(name="test.long")
async def long_step(home: str) -> list[str]:
    """Write down which attempt this is. The first one goes on until its worker ends; each later one ends at once."""
    info = activity.info()
    with (Path(home) / "begun").open("a") as file:
        file.write(f"{info.attempt} {list(info.heartbeat_details)}\n")
    activity.heartbeat("so far")
    while info.attempt == 1:
        await asyncio.sleep(0.2)
        activity.heartbeat("so far")
    return [str(detail) for detail in info.heartbeat_details]


@workflow.defn(name="test.long_step")
class LongStepWorkflow:
    @workflow.run
    async def run(self, home: str) -> list[str]:
        return await workflow.execute_activity(
            long_step,
            home,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(minutes=30),
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=20)),
        )


async def connected(home: Path) -> Client:
    settings = Settings(home=home)
    return await temporal_client.connect(settings, keyring=KeyRing.load(settings.codec_key_file))


@asynccontextmanager
async def working(home: Path, queue: str) -> AsyncIterator[int]:
    """A worker that takes over what its predecessors held; yields how much that was."""
    client, held = await connected(home), HeldSteps(home / "held")
    held.open()
    taken = await take_over(client, home / "held")
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[LongStepWorkflow],
        activities=[long_step],
        interceptors=[held],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        graceful_shutdown_timeout=timedelta(milliseconds=100),
    )
    async with worker:
        yield taken
    held.close()


async def main(home: Path, queue: str) -> None:
    async with working(home, queue):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
