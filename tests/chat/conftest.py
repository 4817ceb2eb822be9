"""One platform for the suite; its work is done by processes, whose steps are the same and quicker than containers'."""

from collections.abc import AsyncIterator

import pytest

from bot.emulator.telegram import Telegram
from tests.support.chat import Town, running_town
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    home = tmp_path_factory.mktemp("platform") / "home"
    async with running_stack(home, ORCHESTRATOR_RUNTIME="process") as stack:
        yield stack


@pytest.fixture(scope="module")
async def town(stack: Stack) -> AsyncIterator[Town]:
    """The bot by long polling."""
    async with running_town(stack, Telegram()) as town:
        yield town
