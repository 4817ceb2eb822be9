"""One person's chat in the emulated Telegram, over its HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

_POLL_S = 10.0


@dataclass(frozen=True)
class Shown:
    """One message as it is now. `buttons` are the texts of its buttons, in order."""

    id: int
    from_bot: bool
    text: str
    buttons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ChatScreen:
    """`frame` grows with each change."""

    frame: int
    messages: list[Shown]

    @property
    def buttons(self) -> list[tuple[int, str]]:
        """Every button on the screen with its message, in the order in which people read."""
        return [(message.id, text) for message in self.messages for text in message.buttons]


class ChatLine:
    def __init__(self, url: str, user_id: int, language: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=_POLL_S * 2, trust_env=False)
        self._user_id = user_id
        self._language = language

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def has_bot(self) -> bool:
        """Whether a bot listens by now."""
        return bool((await self._http.get("/emulator/health")).raise_for_status().json()["listening"])

    async def say(self, text: str) -> None:
        body = {"user_id": self._user_id, "text": text, "language": self._language}
        await self._post("/emulator/say", body)

    async def press(self, message_id: int, text: str) -> str:
        """What the bot answers to the press; empty when it says nothing."""
        body = {"user_id": self._user_id, "message_id": message_id, "text": text}
        press = (await self._post("/emulator/press", body))["press"]
        reply = await self._http.get(f"/emulator/presses/{press}", params={"timeout": "15"})
        answer = reply.raise_for_status().json()["answer"]
        return str(answer["text"]) if answer else ""

    async def screen(self, after: int = -1) -> ChatScreen:
        """The screen; with `after`, as soon as it is newer than that frame, or after ten seconds."""
        wait = {"after": str(after), "timeout": str(_POLL_S)} if after >= 0 else {}
        reply = (await self._http.get(f"/emulator/chats/{self._user_id}", params=wait)).raise_for_status().json()
        return ChatScreen(reply["frame"], [_shown(message) for message in reply["screen"]])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict((await self._http.post(path, json=body)).raise_for_status().json())


def _shown(message: dict[str, Any]) -> Shown:
    buttons = [button["text"] for row in message["buttons"] for button in row]
    return Shown(message["message_id"], message["from_bot"], message["text"], buttons)
