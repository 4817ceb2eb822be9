"""The bot on the platform that suites share, and an emulated Telegram in this process."""

from collections.abc import AsyncIterator

import pytest

from emulators.telegram.telegram import Telegram
from tests.support.people.chat import ChatSystem, running_chat_system
from tests.support.platform import Shared
from tests.support.services import engine


@pytest.fixture(scope="module")
async def system(shared: Shared) -> AsyncIterator[ChatSystem]:
    """The bot by long polling. Whoever kills the engine waits until the chat has ended."""
    async with engine.used(), running_chat_system(shared.stack, Telegram()) as system:
        yield system
