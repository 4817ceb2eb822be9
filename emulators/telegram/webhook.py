"""Delivery to a webhook: in order within a chat, each update repeated until a 2xx response."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

import aiohttp

from emulators.telegram.errors import bad_request
from emulators.telegram.updates import Update, Updates

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_ANSWER_S = 60.0
_GOOD = range(200, 300)


@dataclass
class Webhook:
    """`url` is empty while no webhook is set."""

    updates: Updates
    url: str = ""
    secret: str = ""
    max_connections: int = 40
    last_error: str = ""
    last_error_at: int = 0
    attempts: int = 0
    _task: asyncio.Task[None] | None = None
    _chats: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def set(self, url: str, secret: str, max_connections: int) -> None:
        """Start delivery to `url`. Raises ApiError for a URL or secret that Telegram would refuse."""
        self.updates.end_polling("terminated by setWebhook request")
        self.remove()
        if not url:
            return
        if urlparse(url).scheme not in {"https", "http"} or not urlparse(url).hostname:
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        if secret and not _SECRET.match(secret):
            raise bad_request("secret token contains unallowed characters")
        self.url, self.secret, self.max_connections = url, secret, max_connections
        self.updates.webhook_set = True
        self._task = asyncio.create_task(self._deliver_for_ever(), name="webhook")

    def remove(self) -> None:
        self.url = self.secret = ""
        self.updates.webhook_set = False
        for task in (self._task, *self._chats.values()):
            if task is not None:
                task.cancel()
        self._task = None
        self._chats.clear()

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "url": self.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self.updates.pending),
            "max_connections": self.max_connections,
            "allowed_updates": list(self.updates.allowed),
        }
        if self.last_error:
            found |= {"last_error_date": self.last_error_at, "last_error_message": self.last_error}
        return found

    async def _deliver_for_ever(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as http:
            while True:
                for chat_id in {_chat_of(update) for update in self.updates.waiting()} - set(self._chats):
                    self._chats[chat_id] = asyncio.create_task(self._deliver_chat(http, chat_id))
                await self.updates.wait_changed()

    async def _deliver_chat(self, http: aiohttp.ClientSession, chat_id: int) -> None:
        try:
            while batch := self.updates.take_of(chat_id, _chat_of):
                for update in batch:
                    await self._deliver(http, update)
                    self.updates.confirm(update["update_id"])
        finally:
            if self._chats.get(chat_id) is asyncio.current_task():
                del self._chats[chat_id]

    async def _deliver(self, http: aiohttp.ClientSession, update: Update) -> None:
        pause = _FIRST_PAUSE_S
        while (problem := await self._attempt(http, update)) is not None:
            self.last_error, self.last_error_at = problem, int(time.time())
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _attempt(self, http: aiohttp.ClientSession, update: Update) -> str | None:
        """None after a 2xx response; otherwise the error in Telegram's words."""
        self.attempts += 1
        headers = {SECRET_HEADER: self.secret} if self.secret else {}
        try:
            async with http.post(self.url, json=update, headers=headers) as reply:
                await reply.read()
        except (aiohttp.ClientError, TimeoutError):
            return "Connection refused"
        if reply.status in _GOOD:
            return None
        return f"Wrong response from the webhook: {reply.status} {reply.reason}"

    async def close(self) -> None:
        tasks = [task for task in (self._task, *self._chats.values()) if task is not None]
        self.remove()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _chat_of(update: Update) -> int:
    message = update.get("message") or update.get("edited_message") or update["callback_query"].get("message")
    return int(message["chat"]["id"])
