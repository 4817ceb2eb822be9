"""The API as a chat bot sees it: its own routes, and everything else in a person's name."""

from __future__ import annotations

import copy
from typing import Self

import httpx

from contracts.chat import (
    ChatScreenDTO,
    ChatScreenList,
    ChatScreenOpen,
    ChatScreenUpdate,
    ChatUpdateDTO,
    ChatUpdateMark,
    ChatVisit,
    Language,
    LanguageChoice,
)
from contracts.nouns import WhoAmI
from runtime.api_client import ApiClient

ON_BEHALF = "X-Orchestrator-User"


class ChatApi(ApiClient):
    """A client with the bot's key. Without `acting_for` only the routes under `/chat` answer."""

    def acting_for(self, user_id: int) -> Self:
        """A client on the same connections that acts in a person's name: that person is the Actor of every request.

        A person whom the platform does not know is refused with NOT_ALLOWED.
        """
        other = copy.copy(self)
        other._headers = httpx.Headers({ON_BEHALF: str(user_id)})
        return other

    async def choose_language(self, language: Language) -> WhoAmI:
        return await self._request("PUT", "/whoami/language", WhoAmI, LanguageChoice(language=language))

    async def open_screen(self, screen_id: str, body: ChatScreenOpen) -> ChatScreenDTO:
        return await self._request("PUT", f"/chat/screens/{screen_id}", ChatScreenDTO, body)

    async def update_screen(self, screen_id: str, body: ChatScreenUpdate) -> ChatScreenDTO:
        return await self._request("PATCH", f"/chat/screens/{screen_id}", ChatScreenDTO, body)

    async def screens(self, bot_id: int, **wanted: int | bool) -> list[ChatScreenDTO]:
        """The bot's screens, newest first; `wanted` may name chat_id, message_id, user_id and final."""
        params = {"bot_id": str(bot_id), **{name: str(value).lower() for name, value in wanted.items()}}
        return [screen async for page in self._pages("/chat/screens", ChatScreenList, params) for screen in page.items]

    async def visit(self, user_id: int, bot_id: int, chat_id: int) -> ChatVisit:
        """Who speaks in a chat, and what the bot has shown there lately."""
        params = {"bot_id": str(bot_id), "chat_id": str(chat_id)}
        return await self._get(f"/chat/visits/{user_id}", ChatVisit, params)

    async def mark_update(self, update_id: str, subject: str) -> ChatUpdateDTO:
        """Record what an update is taken for; a repeated call returns the first mark."""
        return await self._request("PUT", f"/chat/updates/{update_id}", ChatUpdateDTO, ChatUpdateMark(subject=subject))
