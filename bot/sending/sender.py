"""Sends, edits and deletes messages; retries until Telegram has taken the call, and waits out its 429."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import TypeVar

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import BufferedInputFile, LinkPreviewOptions, ReplyParameters

from bot.rendering.views import View
from bot.sending.rate_limiter import RateLimiter

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 10.0
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_UNCHANGED = "message is not modified"
_GONE = ("message to edit not found", "MESSAGE_ID_INVALID", "message can't be edited")
_NOT_WRITABLE = (
    "chat not found", "not enough rights", "have no rights", "need administrator rights", "chat_write_forbidden",
    "topic_closed", "group chat was deactivated",
)  # fmt: skip
"""Telegram's errors for a chat where the bot cannot write, in lower case."""
_FOREGROUND_S = 2.0
"""How long a handler waits for a call before the call continues in the background."""

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class EditResult(Enum):
    """GONE: the message no longer exists. CLOSED: the bot cannot write in this chat."""

    SHOWN = "shown"
    GONE = "gone"
    CLOSED = "closed"


class ChatClosed(Exception):
    """The bot cannot write in this chat: it was blocked, removed or muted."""


class ChatMoved(ChatClosed):
    """The group became a supergroup: it has a new id, and the bot's old messages cannot be edited there."""

    def __init__(self, chat_id: int) -> None:
        super().__init__()
        self.chat_id = chat_id


class Sender:
    """The only place that writes to Telegram.

    Edits are idempotent, sends are not: the Bot API has no idempotency key, so a message is sent twice when the
    connection is lost before the answer arrives. Send only what may appear twice; edit the rest.
    """

    def __init__(self, bot: Bot, rate_limiter: RateLimiter) -> None:
        self._bot = bot
        self._rate_limiter = rate_limiter
        self._background: set[asyncio.Task[object]] = set()

    async def notify(self, chat_id: int, view: View, *, reply_to: int | None = None) -> None:
        """Send a message that nothing depends on; after 2 s, for example during a 429, go on in the background.

        Raises ChatClosed if that becomes clear within the 2 s.
        """
        await self._in_foreground_briefly(self.send(chat_id, view, reply_to=reply_to))

    async def send(self, chat_id: int, view: View, *, reply_to: int | None = None) -> int:
        """Send a message, however long it takes, and return its id. Raises ChatClosed and ChatMoved."""
        reply = None
        if reply_to is not None:
            reply = ReplyParameters(message_id=reply_to, allow_sending_without_reply=True)

        async def once() -> int:
            async with self._rate_limiter.urgent(chat_id):
                sent = await self._bot.send_message(
                    chat_id,
                    view.text,
                    reply_markup=view.keyboard,
                    reply_parameters=reply,
                    link_preview_options=_NO_PREVIEW,
                )
            return sent.message_id

        return await self._sent(chat_id, once)

    async def send_picture(self, chat_id: int, picture: bytes, caption: str, *, reply_to: int | None = None) -> bool:
        """Send a picture (PNG) once; whether Telegram has taken it. It may appear twice, and nothing depends on it.

        `caption` is Telegram HTML. Raises ChatClosed and ChatMoved.
        """
        reply = ReplyParameters(message_id=reply_to, allow_sending_without_reply=True) if reply_to else None

        async def once() -> int:
            file = BufferedInputFile(picture, "page.png")
            async with self._rate_limiter.slot(chat_id):
                sent = await self._bot.send_photo(chat_id, file, caption=caption, reply_parameters=reply)
            return sent.message_id

        try:
            await self._sent(chat_id, once)
        except TelegramBadRequest as error:
            # Such as a picture whose sides Telegram does not take.
            log.warning("a picture was refused", cause=error.message)
            return False
        return True

    async def _sent(self, chat_id: int, once: Callable[[], Awaitable[int]]) -> int:
        try:
            return await self._retried(chat_id, once)
        except TelegramMigrateToChat as error:
            raise ChatMoved(error.migrate_to_chat_id) from error
        except TelegramForbiddenError as error:
            raise ChatClosed from error
        except TelegramBadRequest as error:
            if _is_not_writable(error):
                raise ChatClosed from error
            raise

    async def edit(self, chat_id: int, message_id: int, view: Callable[[], View | None]) -> EditResult:
        """Show the latest view in a message. `view` is called when the chat's slot comes; None skips the edit.

        Raises ChatMoved.
        """

        async def once() -> EditResult:
            async with self._rate_limiter.slot(chat_id):
                latest = view()
                if latest is None:
                    return EditResult.SHOWN
                await self._bot.edit_message_text(
                    latest.text,
                    chat_id=chat_id,
                    message_id=message_id,
                    reply_markup=latest.keyboard,
                    link_preview_options=_NO_PREVIEW,
                )
            return EditResult.SHOWN

        try:
            return await self._retried(chat_id, once)
        except TelegramMigrateToChat as error:
            raise ChatMoved(error.migrate_to_chat_id) from error
        except TelegramForbiddenError:
            return EditResult.CLOSED
        except TelegramBadRequest as error:
            return _edit_result(error)

    async def delete(self, chat_id: int, message_id: int) -> bool:
        """Delete a message; True if it no longer exists."""

        async def once() -> bool:
            async with self._rate_limiter.urgent(chat_id):
                return await self._bot.delete_message(chat_id, message_id)

        try:
            return await self._retried(chat_id, once)
        except (TelegramForbiddenError, TelegramMigrateToChat):
            return False
        except TelegramBadRequest as error:
            return "message to delete not found" in error.message

    async def answer_callback(self, callback_id: str, text: str = "", *, alert: bool = False) -> None:
        """Answer a pressed button. A callback that has expired is only logged."""

        async def once() -> bool:
            return await self._bot.answer_callback_query(callback_id, text=text or None, show_alert=alert)

        async def answer() -> None:
            try:
                await self._retried(0, once)
            except TelegramBadRequest as error:
                log.info("a callback was answered too late", cause=error.message)

        await self._in_foreground_briefly(answer())

    async def _in_foreground_briefly(self, work: Coroutine[object, object, object]) -> None:
        """Wait up to 2 s for `work`; then it continues in the background, and a failure there is logged."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        await asyncio.wait({task}, timeout=_FOREGROUND_S)
        if task.done():
            await task
        else:
            task.add_done_callback(_log_failure)

    async def _retried(self, chat_id: int, once: Callable[[], Awaitable[Result]]) -> Result:
        """`chat_id` 0: a call that belongs to no chat."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return await once()
            except TelegramRetryAfter as error:
                log.info("telegram limits the rate", chat_id=chat_id, seconds=error.retry_after)
                self._rate_limiter.pause(chat_id, error.retry_after)
                if not chat_id:
                    await asyncio.sleep(error.retry_after)
            except (TelegramNetworkError, TelegramServerError) as error:
                log.warning("telegram does not answer", cause=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)


def _log_failure(task: "asyncio.Task[object]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a message was not sent", cause=type(error).__name__)


def _is_not_writable(error: TelegramBadRequest) -> bool:
    message = error.message.lower()
    return any(text in message for text in _NOT_WRITABLE)


def _edit_result(error: TelegramBadRequest) -> EditResult:
    if _UNCHANGED in error.message:
        return EditResult.SHOWN
    if any(text in error.message for text in _GONE):
        return EditResult.GONE
    if _is_not_writable(error):
        return EditResult.CLOSED
    raise error
