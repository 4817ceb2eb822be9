"""Who is writing, and whether they have access. No one has access until an administrator grants it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiogram import BaseMiddleware
from aiogram.filters import Filter
from aiogram.types import Chat, ChatMemberUpdated, TelegramObject, User

from bot.tasks.task_messages import TaskMessages
from bot.texts import Texts, language_for, texts
from contracts.chat import ChatScreenDTO
from contracts.states import Role
from runtime.chat_client import ChatApi

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Person:
    """`role` is None without access. `api` acts in this person's name.

    `screens`: the latest of this chat, in a private chat also the person's own in other chats; open ones first.
    """

    user_id: int
    role: Role | None
    texts: Texts
    api: ChatApi
    screens: tuple[ChatScreenDTO, ...] = ()


class AccessMiddleware(BaseMiddleware):
    """Adds `person` to the data of each update. It asks the platform each time, so revoked access ends immediately.

    Whoever is heard of can be written to again: task messages that were given up in this chat go on.
    """

    def __init__(self, api: ChatApi, bot_id: int, task_messages: TaskMessages) -> None:
        self._api = api
        self._bot_id = bot_id
        self._task_messages = task_messages

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:  # noqa: ANN401 - aiogram's signature
        user: User | None = data.get("event_from_user")
        if user is None or user.is_bot:
            return None
        chat: Chat | None = data.get("event_chat")
        person = data["person"] = await self._person(user, chat.id if chat is not None else user.id)
        if not _is_leaving(event):
            self._task_messages.go_on([screen for screen in person.screens if chat and screen.chat_id == chat.id])
        return await handler(event, data)

    async def _person(self, user: User, chat_id: int) -> Person:
        visit = await self._api.visit(user.id, self._bot_id, chat_id)
        language = visit.language or language_for(user.language_code)
        return Person(user.id, visit.role, texts(language), self._api.acting_for(user.id), tuple(visit.screens))


def _is_leaving(event: TelegramObject) -> bool:
    """The person blocks the bot, or takes it out of a group."""
    return isinstance(event, ChatMemberUpdated) and event.new_chat_member.status in {"kicked", "left"}


class HasRole(Filter):
    """Passes people with this role; `None` passes people without access."""

    def __init__(self, role: Role | None) -> None:
        self._role = role

    async def __call__(self, _event: TelegramObject, person: Person) -> bool:
        return person.role is self._role
