"""Agents of the table, in their images, in front of a scripted model."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from activities.adapters.agents.wrapped import AgentDefinition
from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from emulators.model.model import Model
from emulators.model.scenarios import load
from emulators.model.server import serving
from tests.integration.agents.agents import Agent
from tests.integration.agents.places import ContainerPlace
from workers.agents import AGENTS

DEFINITIONS: list[AgentDefinition] = [row.definition for row in AGENTS if row.definition is not None]
WAYS = [(definition, runner) for definition in DEFINITIONS for runner in definition.ways]


@pytest_asyncio.fixture(scope="session")
async def images(tmp_path_factory: pytest.TempPathFactory) -> DockerImages:
    return DockerImages(DockerContainerEngine(), tmp_path_factory.mktemp("locks"))


@pytest_asyncio.fixture
async def model() -> Model:
    return Model(named=load())


@pytest_asyncio.fixture(params=WAYS, ids=[f"{definition.kind.value}-{runner}" for definition, runner in WAYS])
async def agent(
    request: pytest.FixtureRequest, images: DockerImages, model: Model, tmp_path: Path
) -> AsyncIterator[Agent]:
    """An agent in its place, with a scripted model at the socket where the proxy listens."""
    definition, runner = request.param
    with sockets() as folder:
        place = ContainerPlace(await images.agent(definition.kind), tmp_path, folder)
        async with serving(model, socket=folder / "proxy.sock"):
            yield Agent(definition, runner, place)


@contextmanager
def sockets() -> Iterator[Path]:
    """A folder with a short path, since that of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
