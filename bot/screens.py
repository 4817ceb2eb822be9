"""All screens that are not final: each has a journey of its own, and a restart takes every one of them up again."""

import asyncio

import structlog

from bot.journey import Journey
from bot.post import Post
from bot.starts import Starts
from contracts.chat import ChatScreenDTO
from runtime.chat_client import ChatApi

_TAKE_UP_S = 15.0

log = structlog.get_logger(__name__)


class Screens:
    """`open` may be called again for the same screen: there is one journey for each."""

    def __init__(self, api: ChatApi, post: Post, starts: Starts) -> None:
        self._api = api
        self._post = post
        self._starts = starts
        self._journeys: dict[str, Journey] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def resume(self, bot_id: int) -> int:
        """Take up what a former process has left; returns how many."""
        left = await self._api.screens(bot_id, final=False, limit=5000)
        for screen in reversed(left):
            self.open(screen)
        return len(left)

    def open(self, screen: ChatScreenDTO) -> None:
        """See to it that the screen reaches its end."""
        if screen.final or screen.id in self._journeys:
            return
        journey = Journey(screen, self._api, self._post, self._starts)
        self._journeys[screen.id] = journey
        task = asyncio.create_task(journey.run(), name=screen.id)
        self._tasks[screen.id] = task
        task.add_done_callback(lambda done: self._ended(screen.id, done))

    def of_task(self, task_id: str) -> Journey | None:
        """The journey that shows a task now."""
        return next((found for found in self._journeys.values() if found.task_id == task_id), None)

    async def close(self) -> None:
        """Stop showing; nothing is lost, since the API remembers every screen."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, screen_id: str, task: asyncio.Task[None]) -> None:
        journey = self._journeys.pop(screen_id)
        self._tasks.pop(screen_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a screen has failed; it is taken up again soon", screen=screen_id, exc_info=error)
            asyncio.get_running_loop().call_later(_TAKE_UP_S, self.open, journey.screen)
