"""One server in a container for every test that deploys to one."""

from collections.abc import AsyncIterator

import pytest

from tests.support.container_service import OneServer, no_engine

_LONG = ("test_container_target.py", "test_target_contract.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes begin first, so that no worker of xdist waits for the other at the end."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session")
async def container_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    """Made by its first use, removed with everything on it at the end."""
    server = OneServer(tmp_path_factory.mktemp("server"))
    yield server
    if no_engine() is None:
        await server.remove()
