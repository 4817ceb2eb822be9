"""pytest plugin: the one platform that whole suites share, and the scenarios that are told on it.

It is started for the first test that needs it. The scenarios of the selected tests start immediately and run
beside tests that need none.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from contracts.states import AcceptanceMode
from tests.support.agents.department import department
from tests.support.agents.real_platform import RealPlatform, real_platform
from tests.support.eventually import eventually
from tests.support.people.stories import Stories
from tests.support.people.story import Story
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack, running_stack


@dataclass(frozen=True)
class Shared:
    stack: Stack
    stories: Stories


@pytest.fixture(scope="session")
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Shared]:
    markers = [item.get_closest_marker("story") for item in request.session.items]
    # Not below pytest's own directory: another pytest that starts meanwhile closes that for the database's user,
    # and the database may be started again here.
    with TemporaryDirectory(prefix="platform-") as directory:
        # In containers services go with their server.
        in_processes = os.environ.get("ORCHESTRATOR_RUNTIME") == "process" or no_engine() is not None
        async with running_stack(Path(directory) / "home", stop_services=in_processes) as stack:
            stories = Stories(stack, [marker.args[0] for marker in markers if marker is not None])
            yield Shared(stack, stories)
            await stories.close()
        await eventually(lambda: stack.processes() == [], 15, message="nothing of the platform left after `down`")


@pytest.fixture(scope="session")
async def stack(shared: Shared) -> Stack:
    return shared.stack


@pytest.fixture
async def story(request: pytest.FixtureRequest, shared: Shared) -> Story:
    """The told story that the test's marker names."""
    return await shared.stories.get(request.node.get_closest_marker("story").args[0])


@pytest.fixture(scope="package")
async def real() -> AsyncIterator[RealPlatform]:
    """A platform with a key, whose agents are real ones that plan, build and write checks.

    It ends with the tests of its folder: while it is there, no test beside it may kill this machine's engine.
    """
    if (obstacle := no_engine()) is not None:
        pytest.skip(f"NOT TESTED: {obstacle}")
    chosen = {
        "ORCHESTRATOR_ACCEPTANCE": AcceptanceMode.BINDING.value,
        "ORCHESTRATOR_MAX_AGENT_WORKERS_PER_USER": "100",
    }
    with TemporaryDirectory(prefix="agents-") as directory:
        async with engine.used(), real_platform(Path(directory) / "home", **chosen) as platform:
            platform.model.scenarios += department()
            yield platform
        await eventually(lambda: platform.stack.processes() == [], 15, message="nothing left after `down`")
