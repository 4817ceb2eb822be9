"""One village for all files that do not bring their own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.bot.village import Village, running_village


@pytest_asyncio.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Village]:
    async with running_village(tmp_path_factory.mktemp("village")) as village:
        yield village


@pytest_asyncio.fixture
async def village(running: Village) -> AsyncIterator[Village]:
    """At its end no work goes on that the next test's bot would have to take up."""
    yield running
    await running.stop_works()
