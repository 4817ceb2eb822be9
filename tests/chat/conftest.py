"""The bot on the platform that suites share, and an emulated Telegram in this process."""

from collections.abc import AsyncIterator

import pytest

from emulators.telegram.telegram import Telegram
from tests.support.people.chat import ChatSystem, running_chat_system
from tests.support.platform import Shared


@pytest.fixture(scope="module")
async def system(shared: Shared) -> AsyncIterator[ChatSystem]:
    """The bot by long polling. Stories that later tests ask for are told beside the chat: both wait much."""
    shared.stories.begin()
    async with running_chat_system(shared.stack, Telegram()) as system:
        yield system
