"""All task messages that are not final. A restart resumes every one of them."""

import asyncio
from collections.abc import Iterable

import structlog

from bot.sending.sender import Sender
from bot.tasks.start_limiter import StartLimiter
from bot.tasks.task_message import TaskMessage
from contracts.chat import ChatScreenDTO
from runtime.chat_client import ChatApi

_RETRY_S = 15.0

log = structlog.get_logger(__name__)


class TaskMessages:
    """One `TaskMessage` for each open screen. `open` is idempotent.

    One whose chat is closed ends here and stays open in the API: `go_on` takes it up when the chat is heard of again.
    """

    def __init__(self, api: ChatApi, sender: Sender, start_limiter: StartLimiter) -> None:
        self._api = api
        self._sender = sender
        self._start_limiter = start_limiter
        self._messages: dict[str, TaskMessage] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()

    async def resume(self, bot_id: int) -> int:
        """Open every screen that an earlier process left unfinished; returns how many."""
        unfinished = await self._api.screens(bot_id, final=False)
        for screen in reversed(unfinished):
            self.open(screen)
        return len(unfinished)

    def open(self, screen: ChatScreenDTO) -> None:
        """Keep the screen's message up to date, in the background, until its task has ended."""
        if screen.final or screen.id in self._messages:
            return
        message = TaskMessage(screen, self._api, self._sender, self._start_limiter)
        self._messages[screen.id] = message
        task = asyncio.create_task(message.run(), name=screen.id)
        self._tasks[screen.id] = task
        task.add_done_callback(lambda done: self._on_end(screen.id, done))

    def go_on(self, screens: Iterable[ChatScreenDTO]) -> None:
        """Open those screens again that were given up because their chat was closed."""
        for screen in screens:
            if screen.id in self._given_up:
                self._given_up.discard(screen.id)
                self.open(screen)

    def of_task(self, task_id: str) -> TaskMessage | None:
        """The message that currently shows a task."""
        return next((found for found in self._messages.values() if found.task_id == task_id), None)

    async def close(self) -> None:
        """Stop all updates. Nothing is lost: the API has every screen."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_end(self, screen_id: str, task: asyncio.Task[None]) -> None:
        message = self._messages.pop(screen_id)
        self._tasks.pop(screen_id, None)
        if not task.cancelled() and message.given_up:
            self._given_up.add(screen_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task message failed; it is reopened soon", screen=screen_id, exc_info=error)
            asyncio.get_running_loop().call_later(_RETRY_S, self.open, message.screen)
