"""One platform for the suite, brought up by `orchestrator up`; each test has projects of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path_factory.mktemp("platform") / "home") as stack:
        yield stack
