"""The bot on the platform that suites share, and an emulated Telegram in this process."""

from collections.abc import AsyncIterator

import pytest

from emulators.telegram.telegram import Telegram
from tests.support.people.chat import ChatSystem, running_chat_system
from tests.support.stack import Stack


@pytest.fixture(scope="module")
async def system(stack: Stack) -> AsyncIterator[ChatSystem]:
    """The bot by long polling."""
    async with running_chat_system(stack, Telegram()) as system:
        yield system
