"""Agents of the table, in their images, in front of the model proxy and a scripted model."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from activities.adapters.containers.engine import DockerContainerEngine
from activities.adapters.containers.images import DockerImages
from contracts.states import AgentKind
from emulators.model.model import Model
from emulators.model.scenarios import load
from emulators.model.server import serving
from tests.integration.agents.agents import Agent
from tests.integration.agents.metering import Meter, proxied
from tests.integration.agents.places import ContainerPlace
from tests.support.api import Api, running_api
from tests.support.services import engine
from tests.support.services.generated_project import repository


@pytest_asyncio.fixture(scope="session")
async def images(tmp_path_factory: pytest.TempPathFactory) -> DockerImages:
    return DockerImages(DockerContainerEngine(), tmp_path_factory.mktemp("locks"))


@pytest_asyncio.fixture(scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def model() -> Model:
    return Model(named=load())


@pytest_asyncio.fixture
async def agent(
    request: pytest.FixtureRequest, images: DockerImages, model: Model, api: Api, tmp_path: Path
) -> AsyncIterator[Agent]:
    """An agent in its place, with the real proxy at the socket that it sees. Tests name it by its way."""
    definition, runner = request.param
    scripted = definition.kind is AgentKind.SCRIPTED
    # The script has no image with the protocol's SDK of its own: any agent's has it.
    image = await images.agent(AgentKind.CODEX if scripted else definition.kind)
    with sockets() as folder:
        place = ContainerPlace(image, tmp_path, folder)
        if scripted:
            repository(place.workspace, ["backend"])
        place.own()
        # A container is followed by a program of the engine: one that is killed takes the turn's words with it.
        async with engine.used(), serving(model) as url, proxied(api, url, folder):
            yield Agent(definition, runner, place, model, Meter(api, definition.kind))


@contextmanager
def sockets() -> Iterator[Path]:
    """A folder with a short path, since that of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
