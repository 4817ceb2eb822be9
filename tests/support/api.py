"""A real API on a real PostgreSQL for tests; workflows are replaced by a gateway that records."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI

from api import migrate
from api.app import create_app
from api.bootstrap import bootstrap
from api.state import Platform
from contracts.agent_workers import (
    AgentWorkerRun,
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendFileCommand,
    SendFileResponse,
    SendMessageCommand,
    SendMessageResponse,
    SteerWorkerCommand,
    SteerWorkerResponse,
    StopTurnCommand,
    StopTurnResponse,
)
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import OrchestratorError
from contracts.ids import delivery_workflow_id, deploy_workflow_id, engineering_workflow_id
from contracts.nouns import StartedTask
from contracts.questions import AnswerAccepted, AnswerCommand
from runtime import private_files
from runtime.embedded import postgres
from runtime.settings import Settings
from runtime.temporal.agent_workers import RunningTurn
from runtime.temporal.gateway import Work, WorkflowDescription
from runtime.temporal.task_queues import QueueFacts, QueueWait, QueueWaits
from tests.support.ports import any_free

Headers = dict[str, str]
UNLIMITED = {"requests_per_minute": 10**6, "anonymous_requests_per_minute": 10**6, "wrong_keys_per_minute": 10**6}
"""Tests ask more often than people do. Those of the limits set their own."""


@functools.cache
def postgres_url() -> str:
    """One PostgreSQL for the whole test process; it ends, with its data, when the process does."""
    home = Path(tempfile.mkdtemp(prefix="api-tests-"))
    command = postgres.prepare(home / "pg")
    log = (home / "postgres.log").open("wb")
    server = subprocess.Popen(
        command.argv,
        env=command.env,
        cwd=command.cwd,
        stdout=log,
        stderr=log,
        user=command.user_id,
        group=command.group_id,
        extra_groups=None if command.user_id is None else [],
    )
    atexit.register(_stop, server, home)
    return command.url


def _stop(server: subprocess.Popen[bytes], home: Path) -> None:
    server.send_signal(postgres.STOP_SIGNAL)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    shutil.rmtree(home, ignore_errors=True)


async def new_database(options: str = "") -> str:
    """The URL of a fresh, empty database, made with these options of CREATE DATABASE."""
    url = postgres_url()
    await postgres.wait_ready(url)
    name = f"t{uuid4().hex}"
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        await connection.execute(f'CREATE DATABASE "{name}" {options}')
    finally:
        await connection.close()
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


WorkerUpdate = SendMessageCommand | SendFileCommand | SteerWorkerCommand | StopTurnCommand | DeleteWorkerCommand


@dataclass
class RecordingGateway:
    """Replaces `runtime.temporal.gateway.Gateway`: records requests, answers as configured."""

    started: list[EngineeringMessage | DeliveryMessage | DeployMessage] = field(default_factory=list)
    answers: list[tuple[str, AnswerCommand, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    withdrawn: list[DeployMessage] = field(default_factory=list)
    withdrawn_from: list[str] = field(default_factory=list)
    described: dict[str, WorkflowDescription] = field(default_factory=dict)
    workers: list[AgentWorkerRun] = field(default_factory=list)
    told: list[WorkerUpdate] = field(default_factory=list)
    worker_answers: dict[str, SendMessageResponse] = field(default_factory=dict)
    running_turns: dict[str, RunningTurn] = field(default_factory=dict)
    refusal: OrchestratorError | None = None
    is_reachable: bool = True
    forgotten: bool = False
    facts: list[QueueFacts] = field(default_factory=list)
    waits: list[QueueWait] = field(default_factory=list)

    async def start_engineering(self, message: EngineeringMessage) -> StartedTask:
        return self._start(message, engineering_workflow_id(message.task_id))

    async def start_delivery(self, message: DeliveryMessage) -> StartedTask:
        return self._start(message, delivery_workflow_id(message.project_slug, message.task_id))

    async def start_deploy(self, message: DeployMessage) -> StartedTask:
        return self._start(message, deploy_workflow_id(message.project_slug))

    async def answer(self, workflow_id: str, command: AnswerCommand, update_id: str) -> AnswerAccepted:
        self._refuse()
        self.answers.append((workflow_id, command, update_id))
        return AnswerAccepted(question_id=command.question_id)

    async def cancel(self, workflow_id: str) -> None:
        self._refuse()
        self.cancelled.append(workflow_id)

    async def withdraw_deploy(self, workflow_id: str, message: DeployMessage) -> None:
        self._refuse()
        self.withdrawn_from.append(workflow_id)
        self.withdrawn.append(message)

    async def start_worker(self, run: AgentWorkerRun) -> str:
        self._refuse()
        self.workers.append(run)
        return f"run-of-{run.worker_id}"

    async def send_worker_message(self, command: SendMessageCommand, wait_s: float) -> SendMessageResponse | None:
        self._refuse()
        self.told.append(command)
        return self.worker_answers.get(command.request_id)

    async def send_worker_file(self, command: SendFileCommand) -> SendFileResponse:
        return SendFileResponse(request_id=self._told(command), success=True)

    async def steer_worker(self, command: SteerWorkerCommand) -> SteerWorkerResponse:
        return SteerWorkerResponse(request_id=self._told(command), success=True, turn=1)

    async def stop_worker_turn(self, command: StopTurnCommand) -> StopTurnResponse:
        return StopTurnResponse(request_id=self._told(command), success=True, turn=1)

    async def delete_worker(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse:
        return DeleteWorkerResponse(request_id=self._told(command), success=True)

    async def running_turn(self, workflow_id: str) -> RunningTurn | None:
        return self.running_turns.get(workflow_id)

    def _told(self, command: WorkerUpdate) -> str:
        self._refuse()
        self.told.append(command)
        return command.request_id

    async def message_of(self, workflow_id: str, run_id: str, kind: type[Work]) -> Work | None:
        self._refuse()
        found = [one for one in self.started if isinstance(one, kind) and one.task_id in workflow_id]
        return found[-1] if found and not self.forgotten else None

    async def describe(self, workflow_id: str) -> WorkflowDescription | None:
        self._refuse()
        return self.described.get(workflow_id)

    async def reachable(self) -> bool:
        return self.is_reachable

    async def queue_facts(self, names: Sequence[str]) -> list[QueueFacts]:
        self._refuse()
        return self.facts

    async def queue_waits(self, queues: Sequence[str]) -> QueueWaits:
        self._refuse()
        return QueueWaits(items=[wait for wait in self.waits if wait.queue in queues])

    def web_url_for(self, workflow_id: str, run_id: str | None = None) -> str:
        return f"http://ui.test/{workflow_id}"

    def _start(self, message: EngineeringMessage | DeliveryMessage | DeployMessage, workflow_id: str) -> StartedTask:
        self._refuse()
        self.started.append(message)
        return StartedTask(task_id=message.task_id, workflow_id=workflow_id, web_url=self.web_url_for(workflow_id))

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@dataclass
class Api:
    """One running application with its own database, and the keys to it."""

    app: FastAPI
    http: httpx.AsyncClient
    gateway: RecordingGateway
    settings: Settings
    database_url: str
    admin: Headers
    platform: Headers
    bot: Headers

    @property
    def state(self) -> Platform:
        state: Platform = self.app.state.platform
        return state

    async def new_user(self, role: str = "member") -> tuple[int, Headers]:
        """A fresh user and the headers with which they call."""
        user_id = uuid4().int % 2**52 + 2
        reply = await self.http.post("/users", json={"user_id": user_id, "role": role}, headers=self.admin)
        assert reply.status_code == 201, reply.text
        return user_id, bearer(reply.json()["api_key"])

    async def new_project(self, owner: Headers, **fields: Any) -> str:
        """A fresh project; returns its id."""
        project_id = f"p-{uuid4().hex[:12]}"
        body = {"id": project_id, "name": f"n{uuid4().hex[:12]}", **fields}
        reply = await self.http.post("/projects", json=body, headers=owner)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def slug(self, project_id: str) -> str:
        reply = await self.http.get(f"/projects/{project_id}", headers=self.admin)
        return str(reply.json()["project"]["slug"])

    async def new_task(self, project_id: str, **fields: Any) -> str:
        """A task in its first projection; returns its id."""
        task_id = f"eng-{uuid4().hex[:12]}"
        assert await self.project_task(task_id, project_id, seq=1, **fields)
        return task_id

    async def project_task(self, task_id: str, project_id: str, *, seq: int, **fields: Any) -> bool:
        """Apply one projection; whether it was accepted."""
        body = projection(task_id, project_id, seq=seq, **fields)
        reply = await self.http.put("/internal/projections", json=body, headers=self.platform)
        assert reply.status_code == 200, reply.text
        return bool(reply.json()["accepted"])

    async def new_question(self, task_id: str, project_id: str, *, seq: int = 2, **fields: Any) -> str:
        """An open question of a task; returns its id."""
        question = question_document(task_id, project_id, **fields)
        assert await self.project_task(task_id, project_id, seq=seq, state="waiting", question=question)
        return str(question["id"])

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """What the database itself says."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", "", 1))
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def execute(self, statement: str, *arguments: object) -> None:
        """Change the database behind the back of the API."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", "", 1))
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()


def bearer(key: str) -> Headers:
    return {"Authorization": f"Bearer {key}"}


def projection(task_id: str, project_id: str, *, seq: int, **fields: Any) -> dict[str, Any]:
    return {
        "workflow_id": engineering_workflow_id(task_id),
        "run_id": "run-1",
        "seq": seq,
        "task_id": task_id,
        "subject": {"kind": "project", "id": project_id},
        "user_id": 1,
        "kind": "engineering",
        "state": "running",
        **fields,
    }


def milestone(message: str, kind: str = "progress") -> dict[str, Any]:
    return {"type": kind, "request_id": "r", "message": message}


def fine_event(key: str) -> dict[str, Any]:
    return {"key": key, "event": milestone(key)}


def question_document(task_id: str, project_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"q-{uuid4().hex[:12]}",
        "workflow_id": engineering_workflow_id(task_id),
        "task_id": task_id,
        "subject": {"kind": "project", "id": project_id},
        "user_id": 1,
        "kind": "clarification",
        "text": "Which one?",
        **fields,
    }


def release(project_id: str, state: str = "pending", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"rel-{uuid4().hex[:12]}",
        "project_id": project_id,
        "task_id": f"dep-{uuid4().hex[:12]}",
        "commit": uuid4().hex + "0" * 8,
        "state": state,
        **fields,
    }


@asynccontextmanager
async def running_api(directory: Path, gateway: RecordingGateway | None = None, **chosen: Any) -> AsyncIterator[Api]:
    """The application over ASGI, with a migrated and bootstrapped database of its own."""
    settings = Settings(home=directory / "home", admin_user_id=1, ui_port=any_free(), **(UNLIMITED | chosen))
    url = await new_database()
    await migrate.upgrade(url)
    keys = await bootstrap(settings, url)
    gateway = gateway or RecordingGateway()
    app = create_app(settings, database_url=url, gateway=gateway)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=settings.api_url) as http,
    ):
        yield Api(
            app=app,
            http=http,
            gateway=gateway,
            settings=settings,
            database_url=url,
            admin=bearer(private_files.read(keys.admin_key_file).strip()),
            platform=bearer(private_files.read(keys.platform_key_file).strip()),
            bot=bearer(private_files.read(settings.bot_key_file).strip()),
        )


@asynccontextmanager
async def served(app: FastAPI, *, port: int = 0, grace_s: int = 2) -> AsyncIterator[str]:
    """The same application behind a real socket; yields its address. Its lifespan must be open already.

    `grace_s`: what open streams have in order to end by themselves.
    """
    config = uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=grace_s)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    task = asyncio.create_task(_serve(server))
    try:
        while not server.started:
            assert not task.done(), "the server has ended"
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def _serve(server: uvicorn.Server) -> None:
    # Without its signal handlers: the test process keeps its own.
    await server._serve()
