"""A chat with the bot without a network: updates go in, calls of the Bot API come out."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.base import BaseSession
from aiogram.methods import SendMessage, TelegramMethod
from aiogram.types import Chat, Message, Update, User

from services.tg_bot.app import create_dispatcher

PERSON = User(id=42, is_bot=False, first_name="Person")
ROOM = Chat(id=42, type="private")

dispatcher_of_this_process = cache(create_dispatcher)


class RecordingSession(BaseSession):
    """Answers every call itself and remembers the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def make_request(
        self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None
    ) -> Any:
        if isinstance(method, SendMessage):
            self.texts.append(method.text)
        return Message(message_id=2, date=datetime.now(UTC), chat=ROOM, text="sent")

    async def stream_content(
        self,
        url: str,
        headers: dict[str, Any] | None = None,
        timeout: int = 30,
        chunk_size: int = 65536,
        raise_for_status: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        yield b""

    async def close(self) -> None:
        pass


class Conversation:
    def __init__(self, dispatcher: Dispatcher) -> None:
        self.session = RecordingSession()
        self.bot = Bot("42:TEST", session=self.session)
        self.dispatcher = dispatcher

    async def send(self, text: str) -> list[str]:
        """The bot's answers to one message."""
        self.session.texts.clear()
        message = Message(
            message_id=1, date=datetime.now(UTC), chat=ROOM, from_user=PERSON, text=text
        )
        await self.dispatcher.feed_update(self.bot, Update(update_id=1, message=message))
        return list(self.session.texts)
