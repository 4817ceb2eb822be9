import pytest

from tests.tg_bot.conversation import Conversation, dispatcher_of_this_process


@pytest.fixture
def conversation() -> Conversation:
    return Conversation(dispatcher_of_this_process())
