"""The API records what an update means: delivered again, it means the same as before, also in a group."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiogram.types import Chat, Message, Update, User

from bot.conversation.access import Person
from bot.conversation.context import BotContext
from bot.routers import messages
from bot.texts import texts
from contracts.chat import ChatScreenDTO, ChatScreenOpen, ChatUpdateDTO
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import Role

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ANN = User(id=7, is_bot=False, first_name="Ann")


@dataclass
class Platform:
    """The bot's routes in memory: marks as the API keeps them."""

    marks: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    async def mark_update(self, update_id: str, subject: str) -> ChatUpdateDTO:
        known = update_id in self.marks
        return ChatUpdateDTO(id=update_id, subject=self.marks.setdefault(update_id, subject), known=known)

    async def open_screen(self, screen_id: str, body: ChatScreenOpen) -> ChatScreenDTO:
        if self.marks.setdefault(screen_id, "wish") != "wish":
            raise OrchestratorError(ErrorCode.CONFLICT, "something else")
        self.opened.append(screen_id)
        times = {"created_at": _NOW, "updated_at": _NOW}
        return ChatScreenDTO.model_validate({**body.model_dump(), "id": screen_id, "final": True, **times})

    async def screens(self, _bot_id: int, **_wanted: int) -> list[ChatScreenDTO]:
        return []

    def open(self, _screen: ChatScreenDTO) -> None:
        """Replaces the task messages."""

    async def notify(self, _chat_id: int, _view: object, **_how: object) -> None:
        """Replaces the sender."""


async def said(platform: Platform, chat: Chat, bot_id: int = 1) -> None:
    other = Message(message_id=1, date=_NOW, chat=chat, from_user=User(id=bot_id, is_bot=True, first_name="Bot"))
    message = Message(message_id=2, date=_NOW, chat=chat, from_user=_ANN, text="a list of books")
    if chat.type != "private":
        message = message.model_copy(update={"reply_to_message": other})
    anything = cast(Any, platform)
    context = BotContext(bot_id=1, api=anything, sender=anything, task_messages=anything)
    person = Person(_ANN.id, Role.MEMBER, texts("en"), anything)
    await messages._on_text(message, Update(update_id=5, message=message), person, context)


@pytest.mark.parametrize("kind", ["private", "group"])
async def test_a_wish_is_recorded_as_one_but_started_in_private_only(kind: str) -> None:
    platform = Platform()
    await said(platform, Chat(id=7 if kind == "private" else -7, type=kind))
    assert platform.marks == {"tg-1-5": "wish"}
    assert platform.opened == (["tg-1-5"] if kind == "private" else [])


async def test_in_a_group_replies_to_another_bot_are_ignored() -> None:
    platform = Platform()
    await said(platform, Chat(id=-7, type="group"), bot_id=9)
    assert platform.marks == {}


async def test_a_repeated_update_that_was_ambiguous_does_not_become_a_wish() -> None:
    platform = Platform(marks={"tg-1-5": "which"})
    await said(platform, Chat(id=7, type="private"))
    assert platform.opened == []
