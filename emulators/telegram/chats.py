"""Chats, their messages, and a record of what was visible at every moment."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from emulators.telegram.html import Entity
from emulators.telegram.keyboards import Button, Keyboard, document

Found = TypeVar("Found")


@dataclass(frozen=True)
class Account:
    """A Telegram user."""

    id: int
    first_name: str = "Person"
    language_code: str | None = "en"

    def document(self) -> dict[str, Any]:
        body: dict[str, Any] = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        return body | ({"language_code": self.language_code} if self.language_code else {})


@dataclass(frozen=True)
class Message:
    """One version of a message. `sender` is None for the bot; dates are Unix seconds. `text` is the caption of a
    `photo`, which is its content."""

    id: int
    text: str
    sender: Account | None
    date: int
    entities: tuple[Entity, ...] = ()
    keyboard: Keyboard = ()
    reply_to: int | None = None
    edited: int | None = None
    photo: bytes | None = None

    @property
    def from_bot(self) -> bool:
        return self.sender is None

    @property
    def buttons(self) -> list[Button]:
        return [button for row in self.keyboard for button in row]

    def button(self, text: str) -> Button:
        """The first button whose text contains `text`. Raises LookupError if there is none."""
        found = next((button for button in self.buttons if text in button.text), None)
        if found is None:
            raise LookupError(f"no button {text!r} among {[button.text for button in self.buttons]}")
        return found


Screen = tuple[Message, ...]


@dataclass(frozen=True)
class Frame:
    """The screen after one change: sent (by the bot), said (by a user), edited or deleted. `at`: monotonic seconds."""

    number: int
    at: float
    change: str
    message_id: int
    screen: Screen


@dataclass
class Chat:
    """`admin_bot`: the bot may delete messages of others in this group. `muted`: the bot may not write.

    `moved_to`: the id of the supergroup that the group became. `undeletable`: ids of messages the bot cannot delete.
    """

    id: int
    kind: str = "private"
    title: str = ""
    admin_bot: bool = False
    blocked: bool = False
    muted: bool = False
    moved_to: int | None = None
    undeletable: set[int] = field(default_factory=set)
    members: dict[int, Account] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    _messages: dict[int, Message] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def screen(self) -> Screen:
        """The visible messages, oldest first."""
        return tuple(self._messages.values())

    @property
    def from_bot(self) -> list[Message]:
        return [message for message in self.screen if message.from_bot]

    def find(self, message_id: int) -> Message | None:
        return self._messages.get(message_id)

    def add(self, message: Message) -> None:
        self._messages[message.id] = message
        self._note("sent" if message.from_bot else "said", message.id)

    def edit(self, message: Message) -> None:
        self._messages[message.id] = message
        self._note("edited", message.id)

    def remove(self, message_id: int) -> None:
        del self._messages[message_id]
        self._note("deleted", message_id)

    def versions(self, message_id: int) -> list[Message]:
        """Every version of a message that was ever visible, in order."""
        found: list[Message] = []
        for frame in self.frames:
            now = next((message for message in frame.screen if message.id == message_id), None)
            if now is not None and (not found or found[-1] != now):
                found.append(now)
        return found

    async def wait(self, look: Callable[["Chat"], Found | None], timeout: float = 20.0) -> Found:
        """Wait until `look` finds something. `timeout` in seconds; the TimeoutError shows the screen."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            self._changed.clear()
            if found := look(self):
                return found
            left = deadline - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self._changed.wait()
            except TimeoutError:
                raise TimeoutError(f"not within {timeout:g} s; the screen is:\n{self.show()}") from None

    def show(self) -> str:
        """The screen as text."""
        lines = []
        for message in self.screen:
            who = "bot" if message.sender is None else message.sender.first_name
            rows = "".join(f"\n    [{'] ['.join(button.text for button in row)}]" for row in message.keyboard)
            lines.append(f"#{message.id} {who}: {message.text}{rows}")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        if self.kind == "private":
            member = self.members[self.id]
            return {"id": self.id, "type": "private", "first_name": member.first_name}
        return {"id": self.id, "type": self.kind, "title": self.title}

    def _note(self, change: str, message_id: int) -> None:
        self.frames.append(Frame(len(self.frames), time.monotonic(), change, message_id, self.screen))
        self._changed.set()


def _content(message: Message) -> dict[str, Any]:
    if message.photo is None:
        return {"text": message.text} | ({"entities": list(message.entities)} if message.entities else {})
    size = {"width": 1, "height": 1, "file_size": len(message.photo)}
    name = f"photo-{message.id}"
    body: dict[str, Any] = {"photo": [{"file_id": name, "file_unique_id": name, **size}]}
    body |= {"caption": message.text} if message.text else {}
    return body | ({"caption_entities": list(message.entities)} if message.entities else {})


def message_document(chat: Chat, message: Message, bot: dict[str, Any]) -> dict[str, Any]:
    """A message in the form of the Bot API."""
    body: dict[str, Any] = {
        "message_id": message.id,
        "from": bot if message.sender is None else message.sender.document(),
        "chat": chat.document(),
        "date": message.date,
        **_content(message),
    }
    if message.keyboard:
        body["reply_markup"] = document(message.keyboard)
    if message.edited is not None:
        body["edit_date"] = message.edited
    if message.reply_to is not None and (replied := chat.find(message.reply_to)) is not None:
        body["reply_to_message"] = message_document(chat, replace(replied, reply_to=None), bot)
    return body
