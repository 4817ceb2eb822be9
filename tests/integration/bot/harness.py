"""The real bot between an emulated Telegram and the real API with its database. Tests play the workflows."""

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

from bot.run import run
from bot.sending.rate_limiter import RateLimiter
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
from runtime.settings import Settings
from runtime.temporal.gateway import WorkflowDescription
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
from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.people.chat import ChatEnvironment, ChatUser

_LONGEST_S = 15.0
"""On a quiet machine everything here takes less than a second."""

_TOKEN = "424242:EMULATOR-token-of-the-harness-bot"


class FakeTemporal(RecordingGateway):
    """Workflows that were started are running from then on."""

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


class AdjustableLimits(Limits):
    """No limits, except for the chats in `limited`: every call there gets a 429."""

    def __init__(self) -> None:
        super().__init__(private=Rate(100, 100), group=Rate(100, 100), whole=Rate(1000, 1000))
        self.limited: set[int] = set()

    def count(self, chat_id: int) -> None:
        """Raises ApiError 429 with the seconds to wait."""
        if chat_id in self.limited:
            raise too_many_requests(1)
        super().count(chat_id)


@dataclass
class FakeDelivery:
    """One delivery whose workflows are played by the test."""

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
        return delivery_workflow_id(self.message.project_slug, self.task_id)

    async def says(self, step: str = "developing", percent: int | None = None, **fields: Any) -> None:
        """Report a milestone of the delivery itself."""
        told = {**milestone(step, fields.pop("type", "progress")), "current_step": step, "progress_pct": percent}
        body = {"workflow_id": self.workflow_id, "kind": "delivery", "stage": step, "milestone": told, **fields}
        await self._projected(self.task_id, **body)

    async def engineering_says(self, step: str, percent: int) -> None:
        """Report a milestone of the engineering workflow."""
        task_id = child_task_id(self.task_id, TaskKind.ENGINEERING)
        told = {**milestone(step), "current_step": step, "progress_pct": percent}
        workflow_id = engineering_workflow_id(task_id)
        await self._projected(task_id, workflow_id=workflow_id, stage=step, milestone=told, parent_task_id=self.task_id)

    async def asks(self, text: str = "Which one?", **fields: Any) -> str:
        """Ask a question of the platform's own; asking again changes it and keeps its id."""
        self.question = {
            **({} if "kind" in fields or self.question else {"wording": {"name": "of-a-later-version", "fields": {}}}),
            **question_document(self.task_id, self.message.project_id, workflow_id=self.workflow_id),
            **self.question,
            "user_id": self.message.user_id,
            "text": text,
            **fields,
        }
        await self.says(state="waiting", question=self.question)
        return str(self.question["id"])

    async def closes_question(self) -> None:
        """Close the question as answered."""
        closed = {**self.question, "state": "answered", "closed_at": utc_now().isoformat()}
        await self.says(question=closed)

    async def ends(self, state: str, **fields: Any) -> None:
        self.ended = True
        kind = "completed" if state == "completed" else "failed"
        await self.says(state, type=kind, state=state, **fields)

    @property
    def answers(self) -> list[tuple[AnswerCommand, str]]:
        """The answers that the workflow received, each with its id."""
        found = self.api.gateway.answers
        return [(command, update_id) for workflow_id, command, update_id in found if workflow_id == self.workflow_id]

    async def secrets(self) -> list[str]:
        """Names of the secrets stored for the project."""
        reply = await self.api.http.get(f"/projects/{self.message.project_id}/secrets", headers=self.api.admin)
        return [item["name"] for item in reply.json()["items"]]

    async def _projected(self, task_id: str, **fields: Any) -> None:
        whose = {"user_id": self.message.user_id, "title": self.message.title or ""}
        body = projection(task_id, self.message.project_id, seq=next(self._seq), **whose | fields)
        reply = await self.api.http.put("/internal/projections", json=body, headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        assert reply.json()["accepted"], body


@dataclass
class BotHarness(ChatEnvironment):
    """The bot runs in this process and can be restarted; API, database and Temporal can be made unavailable."""

    api: Api
    settings: Settings
    api_server: AsyncExitStack
    limits: AdjustableLimits
    fakes: dict[str, FakeDelivery] = field(default_factory=dict)
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

    # Users

    async def replied(self, user: ChatUser, text: str, chat: Chat | None = None) -> Message:
        """Write a message; returns the bot's next new message in that chat."""
        place = chat or user.chat
        last = max((message.id for message in place.screen), default=0)
        self.telegram.say(user.id, text, chat_id=place.id)
        return await place.wait(lambda now: next((m for m in now.from_bot if m.id > last), None), patience(_LONGEST_S))

    async def settled(self, user: ChatUser, chat: Chat | None = None) -> None:
        """Return when everything written in the chat before has been handled. Each chat is handled in order."""
        assert "/projects" in (await self.replied(user, "/help", chat)).text

    async def asked(self, user: ChatUser, wish: str = "Make a list of books", **question: Any) -> FakeDelivery:
        """A new wish of this user, which now has an open question."""
        number = len(self.deliveries(user)) + 1
        user.say(f"/new {wish}")
        delivery = await self.started(user, number)
        await delivery.asks(**question)
        await user.sees(wish, "❓")
        return delivery

    # The platform

    def deliveries(self, user: ChatUser) -> list[DeliveryMessage]:
        """The deliveries that the user started; a repeated start counts once."""
        started = [one for one in self.api.gateway.started if isinstance(one, DeliveryMessage)]
        return list({one.task_id: one for one in started if one.user_id == user.id}.values())

    async def started(self, user: ChatUser, number: int = 1) -> FakeDelivery:
        """The user's n-th delivery, as soon as it was started."""
        await eventually(lambda: len(self.deliveries(user)) >= number, _LONGEST_S, message="the delivery has started")
        message = self.deliveries(user)[number - 1]
        return self.fakes.setdefault(message.task_id, FakeDelivery(self.api, message))

    async def end_deliveries(self) -> None:
        """Cancel every delivery that still runs."""
        for delivery in self.fakes.values():
            if not delivery.ended:
                await delivery.ends("cancelled")

    async def screens(self, user: ChatUser) -> list[bool]:
        """For each of the user's wishes: whether its end was shown."""
        rows = await self.api.rows("SELECT final FROM chat_screens WHERE user_id = $1 ORDER BY created_at", user.id)
        return [row["final"] for row in rows]

    async def screens_are_final(self, user: ChatUser, *expected: bool) -> None:
        """Wait until exactly these of the user's screens are final."""

        async def recorded() -> bool:
            assert await self.screens(user) == list(expected)
            return True

        await eventually(recorded, message="the screens")

    # Outages

    @asynccontextmanager
    async def without(self, outage: str) -> AsyncIterator[None]:
        """Run the block while a part of the platform is unavailable: `api`, `database` or `temporal`."""
        switch = {"api": self._api, "database": self._database, "temporal": self._temporal}[outage]
        await switch(unavailable=True)
        try:
            yield
        finally:
            await switch(unavailable=False)

    async def _api(self, *, unavailable: bool) -> None:
        if unavailable:
            await self.api_server.aclose()
        else:
            await self.api_server.enter_async_context(served(self.api.app, port=self.settings.api_port, grace_s=0))

    async def _database(self, *, unavailable: bool) -> None:
        """Close all connections and refuse new ones."""
        name = urlparse(self.api.database_url).path.lstrip("/")
        connection = await asyncpg.connect(postgres_url().replace("+asyncpg", "", 1))
        try:
            await connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {not unavailable}')
            if unavailable:
                await connection.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
                )
        finally:
            await connection.close()

    async def _temporal(self, *, unavailable: bool) -> None:
        error = OrchestratorError(ErrorCode.TEMPORAL_UNREACHABLE, "away", error_class=ErrorClass.TRANSIENT)
        self.api.gateway.refusal = error if unavailable else None
        self.api.gateway.is_reachable = not unavailable

    def _user(self, user_id: int) -> ChatUser:
        return ChatUser(user_id, self.telegram, _LONGEST_S)

    async def _grant_access(self, user_id: int, role: str) -> None:
        reply = await self.api.http.post("/users", json={"user_id": user_id, "role": role}, headers=self.api.admin)
        assert reply.status_code == 201, reply.text


@asynccontextmanager
async def running_harness(directory: Path) -> AsyncIterator[BotHarness]:
    """With its own API and a polling bot."""
    async with running_api(directory, FakeTemporal()) as api, AsyncExitStack() as api_server:
        await api.state.hub.wait_listening()
        url = await api_server.enter_async_context(served(api.app, grace_s=0))
        settings = api.settings.model_copy(update={"api_port": urlparse(url).port})
        async with _with_bot(api, settings, api_server) as harness:
            yield harness


@asynccontextmanager
async def second_bot(harness: BotHarness, token: str, **settings: Any) -> AsyncIterator[BotHarness]:
    """A second Telegram and bot on the same API."""
    async with _with_bot(harness.api, harness.settings.model_copy(update=settings), harness.api_server, token) as other:
        yield other


@asynccontextmanager
async def _with_bot(
    api: Api, settings: Settings, api_server: AsyncExitStack, token: str = _TOKEN
) -> AsyncIterator[BotHarness]:
    limits = AdjustableLimits()
    telegram = Telegram(token=token, limits=limits)
    async with serving(telegram) as url:
        of_bot = {"bot_api_url": url, "bot_token": SecretStr(token)}
        harness = BotHarness(telegram, api, settings.model_copy(update=of_bot), api_server, limits)
        with pytest.MonkeyPatch.context() as patch:
            # Pauses between edits and attempts have unit tests; here they would take most of the time.
            patch.setattr("bot.run.RateLimiter", partial(RateLimiter, private_s=0, group_s=0, total_s=0))
            for module in ("sending.sender", "receiving.polling"):
                patch.setattr(f"bot.{module}._FIRST_PAUSE_S", 0.02)
            await harness.start_bot()
            try:
                yield harness
            finally:
                await harness.stop_bot()
