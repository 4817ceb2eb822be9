"""Messages to Telegram, again until they are there: 429 is waited out, a lost connection is tried anew."""

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
from aiogram.types import LinkPreviewOptions, ReplyParameters

from bot.pace import Pace
from bot.views import View

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 10.0
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_UNCHANGED = "message is not modified"
_GONE = ("message to edit not found", "MESSAGE_ID_INVALID", "message can't be edited")
_NO_PLACE = (
    "chat not found", "not enough rights", "have no rights", "need administrator rights", "chat_write_forbidden",
    "topic_closed", "group chat was deactivated",
)  # fmt: skip
"""What Telegram says, in lower case, where nothing can be written."""
_SOON_S = 2.0

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Shown(Enum):
    """What became of an edit. GONE: the message is no more. CLOSED: the person does not want us in this chat."""

    YES = "yes"
    GONE = "gone"
    CLOSED = "closed"


class ChatClosed(Exception):
    """Nothing can be sent to this chat any more."""


class ChatMoved(ChatClosed):
    """The chat goes on under another id: a group that became a supergroup, without the messages of before."""

    def __init__(self, chat_id: int) -> None:
        super().__init__()
        self.chat_id = chat_id


class Post:
    """The one sender of the bot.

    An edit may be repeated at will. A message has no key by which Telegram would know it again: when the connection is
    lost while it is being sent, it is sent once more, and there may be two of it. So only what may stand there twice is
    sent, and everything that counts is an edit.
    """

    def __init__(self, bot: Bot, pace: Pace) -> None:
        self._bot = bot
        self._pace = pace
        self._behind: set[asyncio.Task[object]] = set()

    async def tell(self, chat_id: int, view: View, *, reply_to: int | None = None) -> None:
        """Send what nothing depends on. Where Telegram says wait, that goes on behind: nobody else waits for this chat.

        Raises ChatClosed.
        """
        await self._soon(self.send(chat_id, view, reply_to=reply_to))

    async def send(self, chat_id: int, view: View, *, reply_to: int | None = None) -> int:
        """The id of the new message, however long it takes. Raises ChatClosed and ChatMoved."""
        reply = None
        if reply_to is not None:
            reply = ReplyParameters(message_id=reply_to, allow_sending_without_reply=True)

        async def once() -> int:
            async with self._pace.urgent(chat_id):
                sent = await self._bot.send_message(
                    chat_id,
                    view.text,
                    reply_markup=view.keyboard,
                    reply_parameters=reply,
                    link_preview_options=_NO_PREVIEW,
                )
            return sent.message_id

        try:
            return await self._persistently(chat_id, once)
        except TelegramMigrateToChat as error:
            raise ChatMoved(error.migrate_to_chat_id) from error
        except TelegramForbiddenError as error:
            raise ChatClosed from error
        except TelegramBadRequest as error:
            if _has_no_place(error):
                raise ChatClosed from error
            raise

    async def edit(self, chat_id: int, message_id: int, view: Callable[[], View | None]) -> Shown:
        """Show the newest view in a message; `view` is asked when the turn comes, and None changes nothing.

        Raises ChatMoved.
        """

        async def once() -> Shown:
            async with self._pace.turn(chat_id):
                newest = view()
                if newest is None:
                    return Shown.YES
                await self._bot.edit_message_text(
                    newest.text,
                    chat_id=chat_id,
                    message_id=message_id,
                    reply_markup=newest.keyboard,
                    link_preview_options=_NO_PREVIEW,
                )
            return Shown.YES

        try:
            return await self._persistently(chat_id, once)
        except TelegramMigrateToChat as error:
            raise ChatMoved(error.migrate_to_chat_id) from error
        except TelegramForbiddenError:
            return Shown.CLOSED
        except TelegramBadRequest as error:
            return _outcome(error)

    async def delete(self, chat_id: int, message_id: int) -> bool:
        """Whether the message is gone now."""

        async def once() -> bool:
            async with self._pace.urgent(chat_id):
                return await self._bot.delete_message(chat_id, message_id)

        try:
            return await self._persistently(chat_id, once)
        except (TelegramForbiddenError, TelegramMigrateToChat):
            return False
        except TelegramBadRequest as error:
            return "message to delete not found" in error.message

    async def answer(self, callback_id: str, text: str = "", *, alert: bool = False) -> None:
        """Answer a pressed button; one whose time is over needs no answer any more."""

        async def once() -> bool:
            return await self._bot.answer_callback_query(callback_id, text=text or None, show_alert=alert)

        async def answer() -> None:
            try:
                await self._persistently(0, once)
            except TelegramBadRequest as error:
                log.info("a pressed button was answered too late", cause=error.message)

        await self._soon(answer())

    async def _soon(self, work: Coroutine[object, object, object]) -> None:
        """Wait a moment for `work`, which goes on behind after that; what goes wrong with it there is logged."""
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
        await asyncio.wait({task}, timeout=_SOON_S)
        if task.done():
            await task
        else:
            task.add_done_callback(_log_failure)

    async def _persistently(self, chat_id: int, once: Callable[[], Awaitable[Result]]) -> Result:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return await once()
            except TelegramRetryAfter as error:
                log.info("telegram says wait", chat_id=chat_id, seconds=error.retry_after)
                self._pace.wait(chat_id, error.retry_after)
                if not chat_id:
                    await asyncio.sleep(error.retry_after)
            except (TelegramNetworkError, TelegramServerError) as error:
                log.warning("telegram does not answer", cause=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)


def _log_failure(task: "asyncio.Task[object]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("a message was not sent", cause=type(error).__name__)


def _has_no_place(error: TelegramBadRequest) -> bool:
    said = error.message.lower()
    return any(text in said for text in _NO_PLACE)


def _outcome(error: TelegramBadRequest) -> Shown:
    if _UNCHANGED in error.message:
        return Shown.YES
    if any(text in error.message for text in _GONE):
        return Shown.GONE
    if _has_no_place(error):
        return Shown.CLOSED
    raise error
