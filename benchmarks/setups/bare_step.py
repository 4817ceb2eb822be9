"""`python -m benchmarks.setups.bare_step ADDRESS`: a bare Temporal worker with one long step, until it is killed.

What a program on the Temporal SDK has without anything of ours: the step heartbeats once a second, and the server
hears each of them, as in the product; the time-out for a missing heartbeat and the pause before the next attempt are
the product's, too.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

QUEUE = "bare-step"
HEARTBEAT_S = 15
"""The product's time-out, written down here: this side knows nothing of the product."""


@activity.defn(name="bare.long")
async def long_step() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(1)


@workflow.defn(name="bare-step")
class BareStep:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            long_step,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_S),
            # Each kill costs what the first one does: pauses that grow would be those of a step that keeps failing.
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0),
        )


async def work(address: str) -> None:
    worker = Worker(
        await Client.connect(address),
        task_queue=QUEUE,
        workflows=[BareStep],
        activities=[long_step],
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        default_heartbeat_throttle_interval=timedelta(seconds=1),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
