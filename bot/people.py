"""Who is speaking. Access is closed: whom the platform does not know is a guest, and learns only their own id."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiogram import BaseMiddleware
from aiogram.filters import Filter
from aiogram.types import TelegramObject, User

from bot.texts import Texts, spoken, texts
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import Role
from runtime.chat_client import ChatApi

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Person:
    """`role` is None for a guest. `api` acts in this person's name."""

    user_id: int
    role: Role | None
    texts: Texts
    api: ChatApi


class Access(BaseMiddleware):
    """Asks the platform at every update, so that a withdrawn access is withdrawn at once."""

    def __init__(self, api: ChatApi) -> None:
        self._api = api

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:  # noqa: ANN401 - aiogram's signature
        user: User | None = data.get("event_from_user")
        if user is None or user.is_bot:
            return None
        data["person"] = await self._person(user)
        return await handler(event, data)

    async def _person(self, user: User) -> Person:
        api = self._api.acting_for(user.id)
        try:
            known = await api.whoami()
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_ALLOWED:
                raise
            return Person(user.id, None, texts(spoken(user.language_code)), api)
        language = known.language or spoken(user.language_code)
        return Person(user.id, known.actor.role, texts(language), api)


class Is(Filter):
    """Lets the people of some roles pass; without any, guests."""

    def __init__(self, *roles: Role) -> None:
        self._roles = roles

    async def __call__(self, _event: TelegramObject, person: Person) -> bool:
        return person.role in self._roles if self._roles else person.role is None
