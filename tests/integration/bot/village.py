"""The real bot between an emulated Telegram and the real API with its database. What workflows say, a test says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import asyncpg
import pytest
from pydantic import SecretStr

from bot.pace import Pace
from bot.run import run
from contracts.base import utc_now
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.ids import child_task_id, delivery_workflow_id, engineering_workflow_id
from contracts.nouns import StartedTask
from contracts.questions import AnswerCommand
from contracts.states import TaskKind
from emulators.telegram.chats import Chat, Message
from emulators.telegram.errors import too_many_requests
from emulators.telegram.limits import Limits, Rate
from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram
from runtime.gateway import WorkflowDescription
from runtime.settings import Settings
from tests.support.api import (
    Api,
    RecordingGateway,
    milestone,
    postgres_url,
    projection,
    question_document,
    running_api,
    served,
)
from tests.support.chat import People, Talker
from tests.support.eventually import eventually
from tests.support.patience import patience

_LONGEST_S = 15.0
"""Everything here is there within a second."""

_TOKEN = "424242:EMULATOR-token-of-the-villages-bot"


class Workflows(RecordingGateway):
    """What was started is known from then on, as Temporal knows it."""

    def _start(self, message: EngineeringMessage | DeliveryMessage | DeployMessage, workflow_id: str) -> StartedTask:
        started = super()._start(message, workflow_id)
        self.described[workflow_id] = WorkflowDescription(
            workflow_id=workflow_id,
            run_id="run-1",
            type="delivery",
            status="running",
            started_at=utc_now().isoformat(),
            project_id=message.project_id,
            task_id=message.task_id,
        )
        return started


class Crowd(Limits):
    """Room for everybody, but for the chats in `waiting`, which are told to wait."""

    def __init__(self) -> None:
        super().__init__(private=Rate(100, 100), group=Rate(100, 100), whole=Rate(1000, 1000))
        self.waiting: set[int] = set()

    def count(self, chat_id: int) -> None:
        """Raises ApiError 429 with the seconds to wait."""
        if chat_id in self.waiting:
            raise too_many_requests(1)
        super().count(chat_id)


@dataclass
class Work:
    """One delivery, as its workflows tell of it."""

    api: Api
    message: DeliveryMessage
    question: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    _seq: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def task_id(self) -> str:
        return self.message.task_id

    @property
    def workflow_id(self) -> str:
        return delivery_workflow_id(self.message.project_id, self.task_id)

    async def says(self, step: str = "developing", percent: int | None = None, **fields: Any) -> None:
        """A milestone of the delivery itself."""
        told = {**milestone(step, fields.pop("type", "progress")), "current_step": step, "progress_pct": percent}
        body = {"workflow_id": self.workflow_id, "kind": "delivery", "stage": step, "milestone": told, **fields}
        await self._projected(self.task_id, **body)

    async def engineering_says(self, step: str, percent: int) -> None:
        """A milestone of the step that writes the code."""
        task_id = child_task_id(self.task_id, TaskKind.ENGINEERING)
        told = {**milestone(step), "current_step": step, "progress_pct": percent}
        workflow_id = engineering_workflow_id(task_id)
        await self._projected(task_id, workflow_id=workflow_id, stage=step, milestone=told, parent_task_id=self.task_id)

    async def asks(self, text: str = "Which one?", **fields: Any) -> str:
        """A question; the same id again when it is asked anew with other fields."""
        self.question = {
            **question_document(self.task_id, self.message.project_id, workflow_id=self.workflow_id),
            **self.question,
            "user_id": self.message.user_id,
            "text": text,
            **fields,
        }
        await self.says(state="waiting", question=self.question)
        return str(self.question["id"])

    async def goes_on(self) -> None:
        """The question has had its answer."""
        closed = {**self.question, "state": "answered", "closed_at": utc_now().isoformat()}
        await self.says(question=closed)

    async def ends(self, state: str, **fields: Any) -> None:
        self.ended = True
        kind = "completed" if state == "completed" else "failed"
        await self.says(state, type=kind, state=state, **fields)

    @property
    def answers(self) -> list[tuple[AnswerCommand, str]]:
        """What its workflow was told, with the id of each answer."""
        found = self.api.gateway.answers
        return [(command, update_id) for workflow_id, command, update_id in found if workflow_id == self.workflow_id]

    async def secrets(self) -> list[str]:
        """Names of the secrets that its project has."""
        reply = await self.api.http.get(f"/projects/{self.message.project_id}/secrets", headers=self.api.admin)
        return [item["name"] for item in reply.json()["items"]]

    async def _projected(self, task_id: str, **fields: Any) -> None:
        whose = {"user_id": self.message.user_id, "title": self.message.title or ""}
        body = projection(task_id, self.message.project_id, seq=next(self._seq), **whose | fields)
        reply = await self.api.http.put("/internal/projections", json=body, headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        assert reply.json()["accepted"], body


@dataclass
class Village(People):
    """A bot in this process, which may be stopped; the ways to the API, its database and Temporal, which may be cut."""

    api: Api
    settings: Settings
    door: AsyncExitStack
    crowd: Crowd
    works: dict[str, Work] = field(default_factory=dict)
    bot: asyncio.Task[None] | None = None

    async def start_bot(self) -> None:
        self.begin_bot()
        await self.bot_listens()

    def begin_bot(self) -> None:
        self.bot = asyncio.create_task(run(self.settings))

    async def bot_listens(self) -> None:
        await eventually(self._is_listening, message="the bot listens")

    async def stop_bot(self) -> None:
        if self.bot is not None:
            self.bot.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.bot

    async def restart_bot(self) -> None:
        await self.stop_bot()
        await self.start_bot()

    def _is_listening(self) -> bool:
        if self.bot is not None and self.bot.done():
            self.bot.result()
        return self.telegram.updates.polled or bool(self.telegram.webhook.url)

    # What people do

    async def replied(self, talker: Talker, text: str, chat: Chat | None = None) -> Message:
        """Say something; the next new message of the bot in that chat."""
        place = chat or talker.chat
        last = max((message.id for message in place.screen), default=0)
        self.telegram.say(talker.id, text, chat_id=place.id)
        return await place.wait(lambda now: next((m for m in now.from_bot if m.id > last), None), patience(_LONGEST_S))

    async def settled(self, talker: Talker, chat: Chat | None = None) -> None:
        """Return when everything that was said in the chat before has had its effect: a chat is served in order."""
        assert "/projects" in (await self.replied(talker, "/help", chat)).text

    async def asked(self, talker: Talker, wish: str = "Make a list of books", **question: Any) -> Work:
        """The person's new wish, which has come to a question."""
        number = len(self.deliveries(talker)) + 1
        talker.say(f"/new {wish}")
        work = await self.begun(talker, number)
        await work.asks(**question)
        await talker.sees(wish, "❓")
        return work

    # What the platform knows

    def deliveries(self, talker: Talker) -> list[DeliveryMessage]:
        """What the person has started; a start that was repeated counts once."""
        started = [one for one in self.api.gateway.started if isinstance(one, DeliveryMessage)]
        return list({one.task_id: one for one in started if one.user_id == talker.id}.values())

    async def begun(self, talker: Talker, number: int = 1) -> Work:
        """The person's delivery of this number, once there are so many."""
        await eventually(lambda: len(self.deliveries(talker)) >= number, _LONGEST_S, message="the work has begun")
        message = self.deliveries(talker)[number - 1]
        return self.works.setdefault(message.task_id, Work(self.api, message))

    async def stop_works(self) -> None:
        """End what has not ended."""
        for work in self.works.values():
            if not work.ended:
                await work.ends("cancelled")

    async def screens(self, talker: Talker) -> list[bool]:
        """Of each wish that was written down for the person, whether its end has been shown."""
        rows = await self.api.rows("SELECT final FROM chat_screens WHERE user_id = $1 ORDER BY created_at", talker.id)
        return [row["final"] for row in rows]

    async def shows_to_the_end(self, talker: Talker, *expected: bool) -> None:
        """Which of the person's screens have been recorded as final, as soon as it is so."""

        async def recorded() -> bool:
            assert await self.screens(talker) == list(expected)
            return True

        await eventually(recorded, message="the screens")

    # What goes wrong

    @asynccontextmanager
    async def without(self, outage: str) -> AsyncIterator[None]:
        """The block runs while a part of the platform is away: `api`, `database` or `temporal`."""
        switch = {"api": self._api, "database": self._database, "temporal": self._temporal}[outage]
        await switch(away=True)
        try:
            yield
        finally:
            await switch(away=False)

    async def _api(self, *, away: bool) -> None:
        if away:
            await self.door.aclose()
        else:
            await self.door.enter_async_context(served(self.api.app, port=self.settings.api_port, grace_s=0))

    async def _database(self, *, away: bool) -> None:
        """Who is connected is cut off, and nobody gets in."""
        name = urlparse(self.api.database_url).path.lstrip("/")
        connection = await asyncpg.connect(postgres_url().replace("+asyncpg", "", 1))
        try:
            await connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {not away}')
            if away:
                await connection.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
                )
        finally:
            await connection.close()

    async def _temporal(self, *, away: bool) -> None:
        error = OrchestratorError(ErrorCode.TEMPORAL_UNREACHABLE, "away", error_class=ErrorClass.TRANSIENT)
        self.api.gateway.refusal = error if away else None
        self.api.gateway.is_reachable = not away

    def _talker(self, user_id: int) -> Talker:
        return Talker(user_id, self.telegram, _LONGEST_S)

    async def _let_in(self, user_id: int, role: str) -> None:
        reply = await self.api.http.post("/users", json={"user_id": user_id, "role": role}, headers=self.api.admin)
        assert reply.status_code == 201, reply.text


@asynccontextmanager
async def running_village(directory: Path) -> AsyncIterator[Village]:
    """With an API of its own, and a bot that polls."""
    async with running_api(directory, Workflows()) as api, AsyncExitStack() as door:
        await api.state.hub.wait_listening()
        url = await door.enter_async_context(served(api.app, grace_s=0))
        settings = api.settings.model_copy(update={"api_port": urlparse(url).port})
        async with _with_bot(api, settings, door) as village:
            yield village


@asynccontextmanager
async def beside(village: Village, token: str, **settings: Any) -> AsyncIterator[Village]:
    """Another Telegram with another bot on the same API."""
    async with _with_bot(village.api, village.settings.model_copy(update=settings), village.door, token) as other:
        yield other


@asynccontextmanager
async def _with_bot(api: Api, settings: Settings, door: AsyncExitStack, token: str = _TOKEN) -> AsyncIterator[Village]:
    crowd = Crowd()
    telegram = Telegram(token=token, limits=crowd)
    async with serving(telegram) as url:
        of_bot = {"bot_api_url": url, "bot_token": SecretStr(token)}
        village = Village(telegram, api, settings.model_copy(update=of_bot), door, crowd)
        with pytest.MonkeyPatch.context() as patch:
            # How long a bot waits between two edits or attempts is proven by unit tests, and would be most of the time.
            patch.setattr("bot.run.Pace", partial(Pace, private_s=0, group_s=0, all_s=0))
            for module in ("post", "polling"):
                patch.setattr(f"bot.{module}._FIRST_PAUSE_S", 0.02)
            await village.start_bot()
            try:
                yield village
            finally:
                await village.stop_bot()
