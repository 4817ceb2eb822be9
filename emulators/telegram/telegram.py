"""The emulated Telegram: users, chats and one bot, with the actions of each.

No action awaits anything, so on one event loop each has its whole effect or none.
"""

import asyncio
import itertools
import random
import re
import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from emulators.telegram import html
from emulators.telegram.chats import Account, Chat, Message, message_document
from emulators.telegram.errors import ApiError, bad_request
from emulators.telegram.faults import Faults
from emulators.telegram.keyboards import Keyboard
from emulators.telegram.limits import Limits
from emulators.telegram.updates import Update, Updates
from emulators.telegram.webhook import Webhook

MOST_TEXT = 4096
MOST_CAPTION = 1024
_FIRST_MESSAGES = (10**3, 10**8)
_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(?:@\w+)?")
_TOKEN = re.compile(r"\d{3,16}:[A-Za-z0-9_-]{10,}\Z")


@dataclass
class Press:
    """A pressed button. `answer` is None until the bot answers; `at` is in monotonic seconds."""

    id: str
    chat_id: int
    message_id: int
    account: Account
    data: str
    at: float
    answer: dict[str, Any] | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Reply:
    """The message that the bot replies to. `required`: refuse to send if it no longer exists."""

    message_id: int
    required: bool


@dataclass
class Telegram:
    """`callback_deadline_s`: how long the bot may take to answer a callback."""

    token: str = "424242:EMULATOR-token-of-no-real-bot-000"
    username: str = "orchestrator_bot"
    callback_deadline_s: float = 15.0
    accounts: dict[int, Account] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    presses: dict[str, Press] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    updates: Updates = field(default_factory=Updates)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, float]] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(random.randrange(*_FIRST_MESSAGES)))

    def __post_init__(self) -> None:
        if not _TOKEN.match(self.token):
            raise ValueError("a bot's token looks like 123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
        self.webhook = Webhook(self.updates)

    @property
    def bot(self) -> dict[str, Any]:
        return {
            "id": int(self.token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Orchestrator",
            "username": self.username,
        }

    # Actions of users

    def account(self, user_id: int, *, language: str | None = "en", name: str = "Person") -> Account:
        """The user with this id, created on first use with a private chat to the bot."""
        account = self.accounts.setdefault(user_id, Account(user_id, name, language))
        if user_id not in self.chats:
            self.chats[user_id] = Chat(user_id, members={user_id: account})
        return account

    def set_language(self, user_id: int, language: str | None) -> None:
        """Change the language of a user's Telegram client."""
        account = replace(self.accounts[user_id], language_code=language)
        self.accounts[user_id] = self.chats[user_id].members[user_id] = account

    def group(self, chat_id: int, *members: int, admin_bot: bool = False) -> Chat:
        """A group with these users and the bot."""
        people = {user_id: self.account(user_id) for user_id in members}
        return self.chats.setdefault(chat_id, Chat(chat_id, "group", "Group", admin_bot=admin_bot, members=people))

    def say(self, user_id: int, text: str, *, chat_id: int | None = None, reply_to: int | None = None) -> Message:
        """A user writes a message."""
        account = self.accounts[user_id]
        chat = self.chats[chat_id or user_id]
        entities = tuple(
            {"type": "bot_command", "offset": html.length(text[: found.start()]), "length": html.length(found.group())}
            for found in _COMMAND.finditer(text)
            if found.start() == 0 or text[found.start() - 1].isspace()
        )
        message = Message(next(self._ids), text, account, int(time.time()), entities, reply_to=reply_to)
        chat.add(message)
        self.updates.add("message", message_document(chat, message, self.bot))
        return message

    def say_strangely(self, user_id: int, text: str) -> Update | None:
        """A user forwards something of a kind that no client library of today knows."""
        chat = self.chats[user_id]
        message = Message(next(self._ids), text, self.accounts[user_id], int(time.time()))
        chat.add(message)
        document = message_document(chat, message, self.bot)
        return self.updates.add("message", {**document, "forward_origin": {"type": "of-a-later-version", "date": 1}})

    def block(self, user_id: int) -> None:
        """A user blocks the bot."""
        self._set_blocked(user_id, blocked=True)

    def unblock(self, user_id: int) -> None:
        """A user takes that back, and writes nothing."""
        self._set_blocked(user_id, blocked=False)

    def _set_blocked(self, user_id: int, *, blocked: bool) -> None:
        chat = self.chats[user_id]
        chat.blocked = blocked
        kicked, member = {"status": "kicked", "user": self.bot, "until_date": 0}, {"status": "member", "user": self.bot}
        old, new = (member, kicked) if blocked else (kicked, member)
        change = {"chat": chat.document(), "from": self.accounts[user_id].document(), "date": int(time.time())}
        self.updates.add("my_chat_member", {**change, "old_chat_member": old, "new_chat_member": new})

    def press(self, user_id: int, chat_id: int, message_id: int, data: str) -> Press:
        """A user presses a button. `data` may be forged, the message deleted, the chat another user's."""
        chat, account = self.chats[chat_id], self.accounts[user_id]
        press = Press(uuid4().hex, chat_id, message_id, account, data, time.monotonic())
        self.presses[press.id] = press
        message = chat.find(message_id)
        shown = (
            {"chat": chat.document(), "message_id": message_id, "date": 0}
            if message is None
            else message_document(chat, message, self.bot)
        )
        query = {"id": press.id, "from": account.document(), "message": shown, "chat_instance": str(chat_id)}
        self.updates.add("callback_query", {**query, "data": data})
        return press

    def upgrade(self, chat_id: int, new_id: int) -> Chat:
        """Turn a group into a supergroup: it gets a new id, and the bot's messages stay behind."""
        old = self.chats[chat_id]
        old.moved_to = new_id
        return self.chats.setdefault(new_id, Chat(new_id, "supergroup", old.title, members=dict(old.members)))

    def remove_by_person(self, chat_id: int, message_id: int) -> None:
        """A user deletes a message for everyone."""
        self.chats[chat_id].remove(message_id)

    # Actions of the bot

    def send(
        self, chat_id: int | str, text: str, entities: list[html.Entity], keyboard: Keyboard, reply_to: Reply | None
    ) -> Message:
        return self._sent(chat_id, Message(0, _fitting(text), None, 0, tuple(entities), keyboard), reply_to)

    def send_photo(
        self, chat_id: int | str, photo: bytes, caption: str, entities: list[html.Entity], reply_to: Reply | None
    ) -> Message:
        """`photo`: the content of a picture. A caption may be empty and has at most 1,024 characters."""
        if html.length(caption) > MOST_CAPTION:
            raise bad_request("message caption is too long")
        return self._sent(chat_id, Message(0, caption, None, 0, tuple(entities), photo=photo), reply_to)

    def _sent(self, chat_id: int | str, message: Message, reply_to: Reply | None) -> Message:
        chat = self._chat(chat_id)
        if chat.muted:
            raise bad_request("not enough rights to send text messages to the chat")
        self.limits.count(chat.id)
        replied = None if reply_to is None else chat.find(reply_to.message_id)
        if reply_to is not None and replied is None and reply_to.required:
            raise bad_request("message to be replied not found")
        reply = replied.id if replied else None
        message = replace(message, id=next(self._ids), date=int(time.time()), reply_to=reply)
        chat.add(message)
        return message

    def edit(
        self, chat_id: int | str, message_id: int, text: str, entities: list[html.Entity], keyboard: Keyboard
    ) -> Message:
        chat, old = self._own(chat_id, message_id)
        self.limits.count(chat.id)
        new = replace(old, text=_fitting(text), entities=tuple(entities), keyboard=keyboard)
        return self._replace(chat, old, new)

    def edit_keyboard(self, chat_id: int | str, message_id: int, keyboard: Keyboard) -> Message:
        chat, old = self._own(chat_id, message_id)
        self.limits.count(chat.id)
        return self._replace(chat, old, replace(old, keyboard=keyboard))

    def delete(self, chat_id: int | str, message_id: int) -> None:
        chat = self._chat(chat_id)
        message = chat.find(message_id)
        if message is None:
            raise bad_request("message to delete not found")
        allowed = message.from_bot or chat.kind == "private" or chat.admin_bot
        if message_id in chat.undeletable or not allowed:
            raise bad_request("message can't be deleted")
        chat.remove(message_id)

    def answer(self, press_id: str, answer: dict[str, Any]) -> None:
        press = self.presses.get(press_id)
        if press is None or press.answer is not None or time.monotonic() - press.at > self.callback_deadline_s:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        press.answer = answer
        press.answered.set()

    def acted(self, chat_id: int | str, action: str) -> None:
        self._chat(chat_id).actions.append(action)

    def document(self, chat_id: int, message: Message) -> dict[str, Any]:
        return message_document(self.chats[chat_id], message, self.bot)

    def last_update(self) -> Update:
        return self.updates.known[-1]

    def _chat(self, chat_id: int | str) -> Chat:
        try:
            chat = self.chats[int(chat_id)]
        except (KeyError, ValueError):
            raise bad_request("chat not found") from None
        if chat.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if chat.moved_to is not None:
            reason = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, reason, moved_to=chat.moved_to)
        return chat

    def _own(self, chat_id: int | str, message_id: int) -> tuple[Chat, Message]:
        chat = self._chat(chat_id)
        message = chat.find(message_id)
        if message is None:
            raise bad_request("message to edit not found")
        if not message.from_bot:
            raise bad_request("message can't be edited")
        return chat, message

    def _replace(self, chat: Chat, old: Message, new: Message) -> Message:
        if new == old:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        edited = replace(new, edited=int(time.time()))
        chat.edit(edited)
        return edited


def _fitting(text: str) -> str:
    if not text:
        raise bad_request("message text is empty")
    if len(text) > MOST_TEXT:
        raise bad_request("message is too long")
    return text
