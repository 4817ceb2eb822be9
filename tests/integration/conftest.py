"""What several files need: one server in a container for all that deploy, a bench whose runtime is containers."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.docker_engine import obstacle
from activities.adapters.docker_images import BASE_IMAGE
from activities.adapters.server_container import ensure_images
from tests.support.container_service import OneServer, no_engine
from tests.support.runtimes import Bench

IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}

_LONG = ("test_container_target.py", "test_target_contract.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes begin first, so that no worker of xdist waits for the other at the end."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session")
async def container_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    """Made by its first use, removed with everything on it at the end.

    What it is made of comes first: a new server waits only so long for a prepared engine, and this one shall have it.
    """
    server = OneServer(tmp_path_factory.mktemp("server"))
    if no_engine() is None:
        await ensure_images()
    yield server
    if no_engine() is None:
        await server.remove()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A repository, an agent worker, and containers to work with them."""
    problem = obstacle(BASE_IMAGE, timeout_s=5)
    if problem is not None:
        assert not IN_CI, f"CI needs Docker, but {problem}"
        pytest.skip(f"NOT TESTED IN CONTAINERS: {problem}")
    one = Bench.make(tmp_path, "docker")
    yield one
    await one.runtime.close()
