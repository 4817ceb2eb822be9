"""The real bot on a running platform, with an emulated Telegram in this process and its users."""

import asyncio
import os
import random
import re
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from emulators.telegram.chats import Chat, Message
from emulators.telegram.server import serving
from emulators.telegram.telegram import Press, Telegram
from tests.support.eventually import eventually
from tests.support.patience import patience, within
from tests.support.stack import ROOT, Stack

_URL = re.compile(r"http://\S+")


@dataclass
class BotProcess:
    """`python -m bot`, which tests kill and start again."""

    stack: Stack
    telegram_url: str
    token: str
    extra: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        return self.stack.home / "logs" / "bot-of-test.log"

    @property
    def env(self) -> dict[str, str]:
        return {
            **self.stack.env,
            "ORCHESTRATOR_BOT_TOKEN": self.token,
            "ORCHESTRATOR_BOT_API_URL": self.telegram_url,
            "ORCHESTRATOR_LOG_LEVEL": "DEBUG",
            **self.extra,
        }

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", cwd=ROOT, env=self.env, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """SIGKILL, as the OOM killer does it."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        os.kill(self.process.pid, number)
        await self.process.wait()


@dataclass(frozen=True)
class ChatUser:
    """A Telegram user with a private chat. `longest_s`: seconds to wait for anything, on a quiet machine."""

    id: int
    telegram: Telegram
    longest_s: float = 120

    @property
    def chat(self) -> Chat:
        return self.telegram.chats[self.id]

    @property
    def screens(self) -> list[Message]:
        """The bot's messages that are visible now."""
        return self.chat.from_bot

    def say(self, text: str, *, reply_to: Message | None = None) -> Message:
        return self.telegram.say(self.id, text, reply_to=reply_to.id if reply_to else None)

    def press(self, message: Message, text: str) -> Press:
        """Press the button with this text, as it was on the message given."""
        return self.telegram.press(self.id, self.id, message.id, message.button(text).data or "")

    def forge(self, message: Message, data: str, *, chat: int | None = None) -> Press:
        """Send callback data that no button has."""
        return self.telegram.press(self.id, chat or self.id, message.id, data)

    async def sees(self, *parts: str, after: int = 0, timeout: float | None = None) -> Message:
        """A message of the bot with all these parts in it, newer than message `after`."""
        return await shows(self.chat, *parts, after=after, timeout=timeout or self.longest_s)

    async def until(self, look: Callable[[Chat], object], timeout: float = 60) -> None:
        """Wait until `look` finds something in the chat."""
        await self.chat.wait(look, patience(timeout))

    async def sees_button(self, text: str, *, timeout: float | None = None) -> Message:
        """A message of the bot with a button of this text."""

        def look(chat: Chat) -> Message | None:
            return next((m for m in reversed(chat.from_bot) if any(text in b.text for b in m.buttons)), None)

        return await self.chat.wait(look, patience(timeout or self.longest_s))


async def shows(chat: Chat, *parts: str, after: int = 0, timeout: float = 120) -> Message:
    """The newest message of the bot in this chat with all these parts in it, newer than message `after`."""

    def look(chat: Chat) -> Message | None:
        found = [message for message in chat.from_bot if message.id > after]
        return next((m for m in reversed(found) if all(part in m.text for part in parts)), None)

    return await chat.wait(look, patience(timeout))


async def answered(press: Press, timeout: float = 20) -> dict[str, Any]:
    """What the bot answered to a press."""
    await within(press.answered.wait(), timeout)
    assert press.answer is not None
    return press.answer


def link(message: Message) -> str:
    """The address in a message."""
    found = _URL.search(message.text)
    assert found is not None, message.text
    return found.group()


@dataclass
class ChatEnvironment(ABC):
    """An emulated Telegram. Some of its users have access to the platform."""

    telegram: Telegram

    def stranger(self, language: str | None = "en", name: str = "Person") -> ChatUser:
        """A user without access."""
        account = self.telegram.account(random.randrange(10**6, 10**9), language=language, name=name)
        return self._user(account.id)

    async def member(self, language: str | None = "en", name: str = "Person", role: str = "member") -> ChatUser:
        """A user with access."""
        user = self.stranger(language, name)
        await self._grant_access(user.id, role)
        return user

    def admin(self) -> ChatUser:
        return self._user(self.telegram.account(1, name="Admin").id)

    def group(self, *users: ChatUser, kind: str = "group") -> Chat:
        """A group with these users and the bot."""
        group = self.telegram.group(-int(uuid4().int % 10**9) - 1, *(user.id for user in users))
        group.kind = kind
        return group

    def _user(self, user_id: int) -> ChatUser:
        return ChatUser(user_id, self.telegram)

    @abstractmethod
    async def _grant_access(self, user_id: int, role: str) -> None: ...


@dataclass
class ChatSystem(ChatEnvironment):
    """A running platform, an emulated Telegram and the bot between them."""

    stack: Stack
    telegram_url: str
    bot: BotProcess

    async def _grant_access(self, user_id: int, role: str) -> None:
        async with self.stack.http() as http:
            reply = await http.post("/users", json={"user_id": user_id, "role": role})
            assert reply.status_code == 201, reply.text

    async def tasks_of(self, user: ChatUser) -> list[dict[str, Any]]:
        """The user's deliveries, from the API."""
        found = await self.stack.get("/tasks", limit="500")
        return [task for task in found["items"] if task["user_id"] == user.id and task["kind"] == "delivery"]

    async def until(self, look: Callable[[], object], timeout: float = 60, *, message: str = "") -> None:
        await eventually(look, timeout, message=message)


@asynccontextmanager
async def running_chat_system(stack: Stack, telegram: Telegram, **extra: str) -> AsyncIterator[ChatSystem]:
    """Run the emulator and the bot on a running platform."""
    async with serving(telegram) as url:
        bot = BotProcess(stack, url, telegram.token, extra)
        await bot.start()
        try:
            await eventually(lambda: telegram.updates.polled or telegram.webhook.url, 60, message="the bot listens")
            yield ChatSystem(telegram, stack, url, bot)
        finally:
            await bot.stop()
