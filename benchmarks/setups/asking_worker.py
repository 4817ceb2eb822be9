"""`python -m benchmarks.setups.asking_worker ADDRESS KEY_FILE`: Temporal workers whose agent asks instead of working.

Prints how many runs wait for a person whenever that number has grown.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from activities.ports import Follow
from benchmarks.setups.zero_time import CACHED, TemporalServer
from contracts.agent_workers import TurnOutcome
from contracts.models import ModelTurn
from contracts.progress import Projection, ProjectionAck
from contracts.states import TaskState
from contracts.steps import TurnRequest
from tests.support.workflows.fake_acceptance import PromisingPlatform
from tests.support.workflows.fakes import FakeAgentRuntime
from tests.support.workflows.workflow_world import World
from workers.wiring import build_workers


class Asking(FakeAgentRuntime):
    """Every turn ends with a question, and is forgotten."""

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        return TurnOutcome(status="question", turn=request.turn, question="Which fields?")


class Counting(PromisingPlatform):
    """Remembers the number of those who wait, and nothing else."""

    waiting = 0

    async def apply_projection(self, projection: Projection) -> ProjectionAck:
        if projection.state is TaskState.WAITING and projection.question is not None:
            self.waiting += 1
            sys.stdout.write(f"{self.waiting}\n")
            sys.stdout.flush()
        return ProjectionAck(accepted=True)


async def work(server: TemporalServer) -> None:
    """Poll until killed."""
    client = await server.client()
    world = World(client, platform=Counting())
    world.runtime = Asking(world.workspaces)
    async with AsyncExitStack() as stack:
        for worker in build_workers(client, world.ports(), max_cached_workflows=CACHED):
            await stack.enter_async_context(worker)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(TemporalServer(sys.argv[1], Path(sys.argv[2]))))
