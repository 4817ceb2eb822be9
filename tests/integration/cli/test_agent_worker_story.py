"""A person and an agent worker, at the command line: the API, PostgreSQL, Temporal and the workflow are real."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.agent_workers import TurnOutcome
from contracts.worker_steps import TurnLeft
from runtime.api_client import ApiClient
from runtime.temporal.gateway import Gateway
from tests.support.api import Api, running_api, served
from tests.support.commands import Said, run_command
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import Step
from tests.support.workflows.temporal_server import running_temporal_server
from tests.support.workflows.workflow_world import World, working

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]


@dataclass
class LiveWorld(World):
    """Workflows tell the real API."""

    live: ApiClient | None = None

    def ports(self) -> Any:
        assert self.live is not None
        return super().ports().__class__(**{**super().ports().__dict__, "platform": self.live})


@dataclass(frozen=True)
class Shell:
    api: Api
    world: LiveWorld
    url: str
    key: str

    async def says(self, *arguments: str) -> Said:
        env = {"ORCHESTRATOR_API_URL": self.url, "ORCHESTRATOR_TOKEN": self.key, "COLUMNS": "200"}
        return await within(run_command("worker", *arguments, env=env), 60)

    async def made(self, *options: str) -> str:
        made = await self.says("create", "helper", "--json", *options)
        assert made.code == 0, made
        worker = str(json.loads(made.out)["id"])
        await eventually(lambda: self.is_in(worker, "idle"), timeout=20)
        return worker

    async def is_in(self, worker: str, state: str) -> bool:
        shown = await self.says("show", worker, "--json")
        return shown.code == 0 and json.loads(shown.out)["state"] == state


@pytest_asyncio.fixture(scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    directory: Path = tmp_path_factory.mktemp("agent-workers")
    async with running_temporal_server(directory / "temporal") as address:
        client = await Client.connect(address, data_converter=pydantic_data_converter)
        gateway: Any = Gateway(client, "http://ui.test")
        async with running_api(directory, gateway) as api, served(api.app) as url:
            key = api.platform["Authorization"].removeprefix("Bearer ")
            async with ApiClient(url, key) as platform:
                world = LiveWorld(client, live=platform)
                async with working(world, max_cached_workflows=100):
                    yield Shell(api, world, url, api.admin["Authorization"].removeprefix("Bearer "))


async def test_a_person_makes_one_talks_to_it_and_reads_what_it_did(shell: Shell) -> None:
    worker = await shell.made()
    shell.world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary="It is built.", cost_usd=0.25)]
    sent = await shell.says("send", worker, "build it")
    assert (sent.code, "It is built." in sent.out) == (0, True), sent
    logged = await shell.says("logs", worker)
    assert ["started: Turn 1" in logged.out, "completed: It is built." in logged.out] == [True, True], logged
    shown = await shell.says("show", worker)
    assert "$0.2500 (as the agent says)" in shown.out
    listed = await shell.says("list")
    assert worker in listed.out
    ended = await shell.says("delete", worker)
    assert ended.code == 0
    await eventually(lambda: shell.is_in(worker, "deleted"), timeout=20)
    assert worker not in (await shell.says("list")).out
    assert (await shell.says("send", worker, "more")).code != 0


async def test_a_turn_is_steered_and_stopped_and_the_next_message_goes_on(shell: Shell) -> None:
    runtime = shell.world.runtime
    runtime.controls, runtime.ends_when_asked, runtime.takes_controls = [], False, False
    runtime.left, runtime.step = TurnLeft(session_id="session-kept"), Step(held=True)
    worker = await shell.made()
    assert (await shell.says("steer", worker, "tabs")).code == 5
    sending = asyncio.ensure_future(shell.says("send", worker, "build it"))
    await runtime.step.reached()
    runtime.takes_controls = True
    steered = await shell.says("steer", worker, "use tabs")
    assert (steered.code, "Turn 1" in steered.out) == (0, True), steered
    assert [control.text for control in runtime.controls] == ["use tabs"]
    runtime.takes_controls = False
    stopped = await shell.says("stop", worker)
    assert (stopped.code, "Turn 1 has ended" in stopped.out) == (0, True), stopped
    assert (await sending).code == 1
    runtime.step = Step()
    assert (await shell.says("send", worker, "go on")).code == 0
    assert runtime.turns[-1].session_id == "session-kept"
    logged = await shell.says("logs", worker)
    assert "stopped: The turn was stopped." in logged.out


async def test_the_budget_of_an_agent_worker_is_raised_by_a_command(shell: Shell) -> None:
    worker = await shell.made()
    unused = await shell.says("budget", worker, "--add", "5")
    assert (unused.code, "has used no model" in unused.err + unused.out) == (5, True), unused
    opening = {
        "worker_id": worker, "turn": 1, "task_id": worker, "project_id": worker, "user_id": 1, "agent": "claude-code",
    }  # fmt: skip
    reply = await shell.api.http.post("/internal/model-turns", json=opening, headers=shell.api.platform)
    assert reply.status_code == 200, reply.text
    raised = await shell.says("budget", worker, "--add", "5")
    assert (raised.code, "may spend $15.00; $0.00 are spent" in raised.out) == (0, True), raised
    for wrong in ("0", "-1", "nan", "1e9"):
        assert (await shell.says("budget", worker, f"--add={wrong}")).code == 2


async def test_a_file_arrives_and_a_person_learns_how_to_take_over(shell: Shell, tmp_path: Path) -> None:
    owner = shell.api.admin
    project = await shell.api.new_project(owner)
    worker = await shell.made("--project", project)
    source = tmp_path / "notes.md"
    source.write_text("Remember the milk.")
    put = await shell.says("file", worker, str(source), "--to", "docs/notes.md")
    assert put.code == 0, put
    assert shell.world.workspaces.files["docs/notes.md"] == "Remember the milk."
    assert (await shell.says("send", worker, "build it")).code == 0
    told = await shell.says("shell", worker)
    slug = await shell.api.slug(project)
    assert f"/git/{slug}.git task/{worker}:task-{worker}" in told.out, told
