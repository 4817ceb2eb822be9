"""The bot on the platform that suites share, and an emulated Telegram in this process."""

from collections.abc import AsyncIterator

import pytest

from emulators.telegram.telegram import Telegram
from tests.support.chat import Town, running_town
from tests.support.stack import Stack


@pytest.fixture(scope="module")
async def town(stack: Stack) -> AsyncIterator[Town]:
    """The bot by long polling."""
    async with running_town(stack, Telegram()) as town:
        yield town
