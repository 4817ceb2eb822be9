"""One harness for all files without their own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.bot.harness import BotHarness, running_harness


@pytest_asyncio.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BotHarness]:
    async with running_harness(tmp_path_factory.mktemp("harness")) as harness:
        yield harness


@pytest_asyncio.fixture
async def harness(running: BotHarness) -> AsyncIterator[BotHarness]:
    """Ends the deliveries of each test, so the bot of the next test does not resume them."""
    yield running
    await running.end_deliveries()
