"""Handles each update once, and confirms none before that: while the platform is unavailable, updates wait."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError
from aiogram.types import Chat, Update, User

from bot.rendering.views import View
from bot.sending.sender import ChatClosed, Sender
from bot.tasks.start_limiter import StartLimiter
from bot.texts import language_for, texts
from contracts.errors import OrchestratorError

ALLOWED_UPDATES = ["message", "callback_query", "my_chat_member"]
_REMEMBERED = 10_000
_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 5.0
_NOTIFY_AFTER_S = 4.0

log = structlog.get_logger(__name__)


class Inbox:
    def __init__(self, bot: Bot, dispatcher: Dispatcher, sender: Sender, start_limiter: StartLimiter) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._sender = sender
        self._start_limiter = start_limiter
        self._handled: OrderedDict[int, None] = OrderedDict()
        self._notified: set[int] = set()

    async def handle_all(self, updates: Iterable[Update]) -> None:
        """Handle a batch: chats in parallel, the updates of one chat in order. Returns when all are handled."""
        chats: defaultdict[int, list[Update]] = defaultdict(list)
        for update in sorted(updates, key=lambda update: update.update_id):
            chat = _chat(update)
            chats[chat.id if chat else 0].append(update)
        await asyncio.gather(*(self._handle_in_order(batch) for batch in chats.values()))

    async def handle(self, update: Update) -> None:
        """Handle one update, with retries while the platform is unavailable. Skips one that was handled recently."""
        if update.update_id in self._handled:
            return
        with self._start_limiter.acknowledgement_pending():
            await self._retry(update)
        self._remember(update.update_id)

    async def _retry(self, update: Update) -> None:
        began = asyncio.get_running_loop().time()
        pause = _FIRST_PAUSE_S
        while not await self._try(update):
            if asyncio.get_running_loop().time() - began > _NOTIFY_AFTER_S:
                await self._notify_unavailable(update)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _handle_in_order(self, batch: list[Update]) -> None:
        for update in batch:
            await self.handle(update)

    async def _try(self, update: Update) -> bool:
        """False if the update has to be tried again. After a permanent error it is done: it must not block others."""
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except ChatClosed:
            log.info("the bot cannot write in the chat", update=update.update_id)
        except OrchestratorError as error:
            if error.retryable:
                log.warning("the platform does not answer", update=update.update_id, code=error.code.value)
                return False
            log.warning("an update was refused", update=update.update_id, code=error.code.value)
            await self._notify(update, "refused-other")
        except Exception:  # a defect in one handler must not stop all chats
            log.exception("an update could not be handled", update=update.update_id)
            await self._notify(update, "broken")
        else:
            chat = _chat(update)
            self._notified.discard(chat.id if chat else 0)
        return True

    async def _notify_unavailable(self, update: Update) -> None:
        """Once per chat and outage."""
        chat = _chat(update)
        if chat is not None and chat.id not in self._notified:
            self._notified.add(chat.id)
            await self._notify(update, "platform-away")

    async def _notify(self, update: Update, text_id: str) -> None:
        chat, user = _chat(update), _user(update)
        if chat is None:
            return
        language = language_for(user.language_code if user else None)
        try:
            await self._sender.notify(chat.id, View(texts(language)(text_id)))
        except ChatClosed:
            log.info("the bot cannot write in the chat", update=update.update_id)
        except AiogramError as error:
            # An error in one chat must not stop the bot for all others.
            log.warning("a person could not be notified", update=update.update_id, cause=type(error).__name__)

    def _remember(self, update_id: int) -> None:
        self._handled[update_id] = None
        if len(self._handled) > _REMEMBERED:
            self._handled.popitem(last=False)


def _chat(update: Update) -> Chat | None:
    if update.message is not None:
        return update.message.chat
    if update.callback_query is not None and update.callback_query.message is not None:
        return update.callback_query.message.chat
    return update.my_chat_member.chat if update.my_chat_member is not None else None


def _user(update: Update) -> User | None:
    event = update.message or update.callback_query or update.my_chat_member
    return event.from_user if event is not None else None
