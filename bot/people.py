"""Who is speaking. Access is closed: whom the platform does not know is a guest, and learns only their own id."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiogram import BaseMiddleware
from aiogram.filters import Filter
from aiogram.types import Chat, TelegramObject, User

from bot.texts import Texts, spoken, texts
from contracts.chat import ChatScreenDTO
from contracts.states import Role
from runtime.chat_client import ChatApi

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Person:
    """`role` is None for a guest. `api` acts in this person's name; `shown` are this chat's screens, newest first."""

    user_id: int
    role: Role | None
    texts: Texts
    api: ChatApi
    shown: tuple[ChatScreenDTO, ...] = ()


class Access(BaseMiddleware):
    """Asks the platform at every update, so that a withdrawn access is withdrawn at once."""

    def __init__(self, api: ChatApi, bot_id: int) -> None:
        self._api = api
        self._bot_id = bot_id

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:  # noqa: ANN401 - aiogram's signature
        user: User | None = data.get("event_from_user")
        if user is None or user.is_bot:
            return None
        chat: Chat | None = data.get("event_chat")
        data["person"] = await self._person(user, chat.id if chat is not None else user.id)
        return await handler(event, data)

    async def _person(self, user: User, chat_id: int) -> Person:
        known = await self._api.visit(user.id, self._bot_id, chat_id)
        language = known.language or spoken(user.language_code)
        return Person(user.id, known.role, texts(language), self._api.acting_for(user.id), tuple(known.screens))


class Is(Filter):
    """Lets the people of some roles pass; without any, guests."""

    def __init__(self, *roles: Role) -> None:
        self._roles = roles

    async def __call__(self, _event: TelegramObject, person: Person) -> bool:
        return person.role in self._roles if self._roles else person.role is None
