"""One platform for all but a few, brought up by `orchestrator up`; each test has projects of its own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.scheduling import file_of, grouped
from tests.support.stack import Stack, running_stack
from tests.support.stories import Stories
from tests.support.story import Story

_WAITING = "test_never_stuck.py"
"""It has a platform of its own and waits for most of its time. It may not ask for the common one or a story."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return grouped(config, log, lambda nodeid: "waiting" if file_of(nodeid) == _WAITING else "busy")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "story(name): the scenario of tests.support.scenarios that the test judges")


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path_factory.mktemp("platform") / "home") as stack:
        yield stack


@pytest.fixture(scope="session")
async def stories(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[Stories]:
    """Everything that the selected tests judge, begun together."""
    markers = [item.get_closest_marker("story") for item in request.session.items]
    stories = Stories(stack, [marker.args[0] for marker in markers if marker is not None])
    yield stories
    await stories.close()


@pytest.fixture
async def story(request: pytest.FixtureRequest, stories: Stories) -> Story:
    """The told story that the test's marker names."""
    return await stories.get(request.node.get_closest_marker("story").args[0])
