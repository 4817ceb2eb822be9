"""A task message stops when it is cancelled, even if an event arrives in the same moment."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bot.tasks.start_limiter import StartLimiter
from bot.tasks.task_message import TaskMessage
from contracts.chat import ChatScreenDTO
from tests.support.patience import patience

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Platform:
    """Never called here."""

    def acting_for(self, _user_id: int) -> "Platform":
        return self


def a_task_message() -> TaskMessage:
    times = {"created_at": _NOW, "updated_at": _NOW}
    screen = ChatScreenDTO(
        id="s", bot_id=1, chat_id=7, user_id=7, language="en", wish="a list", task_id="dlv-1", **times
    )
    anything = cast(Any, Platform())
    return TaskMessage(screen, anything, anything, StartLimiter())


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_in_the_moment_of_an_event_is_not_lost(turns: int) -> None:
    """If it were, the bot would never stop."""
    task_message = a_task_message()
    never = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(task_message._wait_for_change(cast(Any, never)))
    await asyncio.sleep(0.01)
    task_message._changed.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    stopped = waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=patience(5))
    assert done
    assert waiting.cancelled() == stopped
