"""What several files need: one server in a container for all that deploy, a bench whose runtime is containers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from activities.adapters.servers.container import ensure_image, prepared_engine
from tests.support.scheduling import file_of, grouped
from tests.support.services.container_service import OneServer, no_engine
from tests.support.services.runtimes import Bench, working

_LONG = (
    "test_container_target.py", "test_target_contract.py", "test_template.py", "test_template_agent.py",
    "test_stack.py", "test_turn_contract.py", "test_workspace_contract.py", "test_tester_contract.py",
)  # fmt: skip
_ON_SERVER = ("test_container_target.py", "test_server_door.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take long begin first, so that no worker of xdist waits for the other at the end."""
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """File by file, but what shares something stays together: one server, the environments of generated projects."""
    return grouped(config, log, _place)


def _place(nodeid: str) -> str:
    name = file_of(nodeid)
    if name.startswith("test_template"):
        return "templates"
    on_server = name in _ON_SERVER or (name == "test_target_contract.py" and "container" in nodeid)
    return "server" if on_server else name


@pytest.fixture(scope="session")
async def container_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    """Made by its first use, removed with everything on it at the end.

    What it is made of comes first: a new server waits only so long for a prepared engine, and this one shall have it.
    """
    server = OneServer(tmp_path_factory.mktemp("server"))
    if no_engine() is None:
        await prepared_engine(await ensure_image())
    yield server
    if no_engine() is None:
        await server.remove()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A repository, an agent worker, and containers to work with them."""
    async with working(tmp_path, "docker") as one:
        yield one
