"""A screen's journey ends when it is told to, whatever happens in the same moment."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bot.journey import Journey
from bot.starts import Starts
from contracts.chat import ChatScreenDTO
from tests.support.patience import patience

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Platform:
    """Nothing is asked of it here."""

    def acting_for(self, _user_id: int) -> "Platform":
        return self


def a_journey() -> Journey:
    times = {"created_at": _NOW, "updated_at": _NOW}
    screen = ChatScreenDTO(
        id="s", bot_id=1, chat_id=7, user_id=7, language="en", wish="a list", task_id="dlv-1", **times
    )
    anything = cast(Any, Platform())
    return Journey(screen, anything, anything, Starts())


@pytest.mark.parametrize("later", range(6))
async def test_a_stop_in_the_moment_of_an_event_is_not_lost(later: int) -> None:
    """A bot that misses one waits for ever, and so does whoever stops it."""
    journey = a_journey()
    never = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(journey._until_changed(cast(Any, never)))
    await asyncio.sleep(0.01)
    journey._changed.set()
    for _ in range(later):
        await asyncio.sleep(0)
    stopped = waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=patience(5))
    assert done
    assert waiting.cancelled() == stopped
