"""Updates, each handled once and none confirmed before: while the platform is away they wait."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError
from aiogram.types import Chat, Update, User

from bot.post import ChatClosed, Post
from bot.starts import Starts
from bot.texts import spoken, texts
from bot.views import View
from contracts.errors import OrchestratorError

_REMEMBERED = 10_000
_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 5.0
_TELL_AFTER_S = 4.0

log = structlog.get_logger(__name__)


class Inbox:
    def __init__(self, bot: Bot, dispatcher: Dispatcher, post: Post, starts: Starts) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._post = post
        self._starts = starts
        self._handled: OrderedDict[int, None] = OrderedDict()
        self._told: set[int] = set()

    async def take_all(self, updates: Iterable[Update]) -> None:
        """Handle a batch: in order within a chat, chats side by side. Returns when all of it has had its effect."""
        chats: defaultdict[int, list[Update]] = defaultdict(list)
        for update in sorted(updates, key=lambda update: update.update_id):
            chat = _chat(update)
            chats[chat.id if chat else 0].append(update)
        await asyncio.gather(*(self._take_in_order(batch) for batch in chats.values()))

    async def take(self, update: Update) -> None:
        """Handle one update, again until the platform has taken it. One that was handled lately is left out."""
        if update.update_id in self._handled:
            return
        with self._starts.sign_expected():
            await self._take(update)
        self._remember(update.update_id)

    async def _take(self, update: Update) -> None:
        began = asyncio.get_running_loop().time()
        pause = _FIRST_PAUSE_S
        while not await self._try(update):
            if asyncio.get_running_loop().time() - began > _TELL_AFTER_S:
                await self._tell_away(update)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _take_in_order(self, batch: list[Update]) -> None:
        for update in batch:
            await self.take(update)

    async def _try(self, update: Update) -> bool:
        """Whether the update is done with. What fails for good is told and done with too: it must not block others."""
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except ChatClosed:
            log.info("the chat is closed", update=update.update_id)
        except OrchestratorError as error:
            if error.retryable:
                log.warning("the platform does not answer", update=update.update_id, code=error.code.value)
                return False
            log.warning("an update was refused", update=update.update_id, code=error.code.value)
            await self._tell(update, "refused-other")
        except Exception:  # a defect in one handler must not stop all chats
            log.exception("an update could not be handled", update=update.update_id)
            await self._tell(update, "broken")
        else:
            chat = _chat(update)
            self._told.discard(chat.id if chat else 0)
        return True

    async def _tell_away(self, update: Update) -> None:
        """Once for each chat and each time that the platform is away."""
        chat = _chat(update)
        if chat is not None and chat.id not in self._told:
            self._told.add(chat.id)
            await self._tell(update, "platform-away")

    async def _tell(self, update: Update, text_id: str) -> None:
        chat, user = _chat(update), _user(update)
        if chat is None:
            return
        try:
            await self._post.tell(chat.id, View(texts(spoken(user.language_code if user else None))(text_id)))
        except ChatClosed:
            log.info("the chat is closed", update=update.update_id)
        except AiogramError as error:
            # Whoever invites the bot to where it may not speak must not stop it for all others.
            log.warning("a person could not be told", update=update.update_id, cause=type(error).__name__)

    def _remember(self, update_id: int) -> None:
        self._handled[update_id] = None
        if len(self._handled) > _REMEMBERED:
            self._handled.popitem(last=False)


def _chat(update: Update) -> Chat | None:
    if update.message is not None:
        return update.message.chat
    if update.callback_query is not None and update.callback_query.message is not None:
        return update.callback_query.message.chat
    return None


def _user(update: Update) -> User | None:
    event = update.message or update.callback_query
    return event.from_user if event is not None else None
