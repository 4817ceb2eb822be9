"""One server in a container for every test that deploys to one."""

from collections.abc import AsyncIterator

import pytest

from tests.support.container_service import OneServer, no_engine


@pytest.fixture(scope="session")
async def container_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    """Made by its first use, removed with everything on it at the end."""
    server = OneServer(tmp_path_factory.mktemp("server"))
    yield server
    if no_engine() is None:
        await server.remove()
