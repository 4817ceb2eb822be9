"""The Docker daemon is killed in the very moments in which it loses what it knows: a start, and an end.

Nothing of the platform is under way here but one container after the other, so that the moments can be met.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from activities.adapters.containers.engine import Bind, ContainerSpec, DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from activities.adapters.containers.runs import ContainerRuns
from activities.adapters.runs.states import RunStatus
from contracts.errors import OrchestratorError
from tests.support.eventually import eventually
from tests.support.kills.killing import kill_engine, spared_engine
from tests.support.services.container_service import no_engine
from tests.support.services.runtimes import docker

KILLS = int(os.environ.get("ENGINE_KILLS", "4"))
"""At each moment. The start that leaves a process which Docker does not know was met by every third or so."""
pytestmark = [pytest.mark.timeout(150 * KILLS), pytest.mark.deep]

HOME = "/home/worker"
COMMAND = f"echo begun >> {HOME}/log; sleep 1; echo done >> {HOME}/log; exit 7"


@dataclass
class Work:
    """One run, and what it writes into its volume."""

    name: str
    runs: ContainerRuns
    image: str

    @property
    def lines(self) -> list[str]:
        log = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", self.name).strip()) / "log"
        return log.read_text().split() if log.exists() else []

    async def to_the_end(self) -> RunStatus:
        """As a step that is repeated after every hiccup."""
        await self.runs.engine.ensure_volume(self.name, {})
        spec = ContainerSpec(
            self.name, self.image, ["sh", "-c", COMMAND], environment={"HOME": HOME}, binds=(Bind(self.name, HOME),)
        )
        while True:
            try:
                await self.runs.start(spec, 60)
                async with self.runs.output(self.name) as output:
                    return await output.wait(self.name)
            except OrchestratorError as error:
                if not error.retryable:
                    raise

    async def remove(self) -> None:
        await self.runs.remove(self.name)
        await self.runs.engine.remove_volume(self.name)


@pytest.fixture
async def work(tmp_path: Path) -> Callable[[], Awaitable[Work]]:
    for reason in (no_engine(), spared_engine()):
        if reason is not None:
            pytest.skip(f"NOT TESTED: {reason}")
    engine = DockerContainerEngine()
    runs, image = ContainerRuns(engine, tmp_path / "runs"), await DockerImages(engine, tmp_path / "locks").worker()

    async def make() -> Work:
        return Work(f"kill-{uuid4().hex[:8]}", runs, image)

    return make


async def ends_once(work: Work, moment: Callable[[], Awaitable[None]]) -> tuple[str, int | None, list[str]]:
    """How the run ended and what it wrote, when the engine is killed at a moment of it."""
    running = asyncio.ensure_future(work.to_the_end())
    try:
        await moment()
        await kill_engine()
        status = await running
        return status.state, status.exit_code, work.lines
    finally:
        running.cancel()
        await work.remove()


async def test_an_engine_killed_while_it_starts_a_container_begins_its_command_once(
    work: Callable[[], Awaitable[Work]],
) -> None:
    chance = random.Random(1)
    seen = []
    for _ in range(KILLS):
        one = await work()
        seen.append(await ends_once(one, lambda: asyncio.sleep(chance.uniform(0.1, 0.7))))  # moments of a start
    assert seen == [("exited", 7, ["begun", "done"])] * KILLS


@pytest.mark.parametrize("line", ["begun", "done"])
async def test_an_engine_killed_as_a_command_begins_or_ends_knows_its_end(
    work: Callable[[], Awaitable[Work]], line: str
) -> None:
    chance = random.Random(line)
    seen = []
    for _ in range(KILLS):
        one = await work()

        async def written(one: Work = one) -> None:
            log = Path("/var/lib/docker/volumes") / one.name / "_data" / "log"
            await eventually(lambda: log.exists() and line in log.read_text(), 60, interval=0.001)
            await asyncio.sleep(chance.uniform(0, 0.05))  # moments of it

        seen.append(await ends_once(one, written))
    assert seen == [("exited", 7, ["begun", "done"])] * KILLS
