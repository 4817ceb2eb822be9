"""The whole product as a person runs it: `orchestrator up` in a home of its own, used through its command line."""

import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psutil
from temporalio.client import Client

from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import LocalServers
from contracts.states import TaskState
from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal import client as temporal_client
from tests.support.commands import Said, run_command
from tests.support.eventually import eventually
from tests.support.ports import free_ports
from tests.support.services import engine
from tests.support.services.container_service import no_engine

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
_PASSED = ("PIP_", "SSL_", "VIRTUAL_ENV", "OTEL_", "ORCHESTRATOR_LOG_")
CONTAINER_STARTS = "container-starts.log"
FINAL = {state.value for state in TaskState if state.is_final}


@dataclass(frozen=True)
class Stack:
    """One home with its platform. Ports are its own, so that several may run side by side."""

    home: Path
    port_base: int
    service_port_min: int
    server: str = ""
    """The container that services are deployed to; empty when the platform works with processes."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Variables of its own, such as where it works."""

    @property
    def env(self) -> dict[str, str]:
        passed = {"PATH", "HOME", "LANG", "CI", "DOCKER_HOST", "ORCHESTRATOR_RUNTIME", "ORCHESTRATOR_CI_RUN"}
        kept = {name: value for name, value in os.environ.items() if name in passed}
        pip = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
        return {
            **kept,
            **pip,
            "ORCHESTRATOR_HOME": str(self.home),
            "ORCHESTRATOR_API_PORT": str(self.port_base),
            "ORCHESTRATOR_UI_PORT": str(self.port_base + 1),
            "ORCHESTRATOR_TEMPORAL_PORT": str(self.port_base + 2),
            "ORCHESTRATOR_SERVICE_PORT_MIN": str(self.service_port_min),
            "ORCHESTRATOR_SERVICE_PORT_MAX": str(self.service_port_min + 99),
            # A suite asks more often than people do, and all of it with one key.
            "ORCHESTRATOR_REQUESTS_PER_MINUTE": "60000",
            # Stories have several people, also where work runs as processes.
            "ORCHESTRATOR_TRUST_PROCESSES": "true",
            "ORCHESTRATOR_WATCH_S": "2",
            # Each delivery would start its service once more. Stories that are about it ask for it.
            "ORCHESTRATOR_ACCEPTANCE": "off",
            "COLUMNS": "200",
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.home,
            api_port=self.port_base,
            ui_port=self.port_base + 1,
            temporal_port=self.port_base + 2,
            service_port_min=self.service_port_min,
            service_port_max=self.service_port_min + 99,
        )

    async def cli(
        self, *arguments: str, stdin: str = "", timeout: float = 120, env: dict[str, str] | None = None
    ) -> Said:
        """Run one command to its end."""
        return await run_command(*arguments, env={**self.env, **(env or {})}, stdin=stdin, timeout=timeout)

    async def ok(self, *arguments: str, stdin: str = "", timeout: float = 120) -> Any:
        """The JSON document of a command that must succeed."""
        said = await self.cli(*arguments, "--json", stdin=stdin, timeout=timeout)
        assert said.code == 0, f"{arguments}: {said.code}\n{said.out}\n{said.err}"
        return said.json

    async def new_project(self, name: str | None = None, *modules: str) -> str:
        """A project of its own; returns its id."""
        flags = [flag for module in modules for flag in ("--module", module)]
        return str((await self.ok("project", "create", name or f"p{uuid4().hex[:8]}", *flags))["id"])

    async def task(self, task_id: str) -> dict[str, Any]:
        return dict(await self.ok("task", "show", task_id))

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """One document of the API, as the administrator sees it; an AssertionError for anything but 200."""
        async with self.http() as http:
            return await _document(http, path, params)

    async def wait(
        self,
        path: str,
        found: Callable[[dict[str, Any]], T | None],
        timeout: float,
        *,
        message: str,
        **params: str,
    ) -> T:
        """Ask the API, without a process for each look, until `found` makes something of its document."""
        seen: list[T] = []
        async with self.http() as http:

            async def look() -> bool:
                value = found(await _document(http, path, params))
                if value:
                    seen.append(value)
                return bool(seen)

            _: bool = await eventually(look, timeout, interval=0.1, message=message)
        return seen[0]

    async def finished(self, task_id: str, timeout: float = 300) -> dict[str, Any]:
        """The task once it has ended, however it ended. The first deploys to a server take their time together."""

        def ended(task: dict[str, Any]) -> dict[str, Any] | None:
            return task if task["state"] in FINAL else None

        return await self.wait(f"/tasks/{task_id}", ended, timeout, message=f"the end of {task_id}")

    async def at_stage(self, task_id: str, stage: str, timeout: float = 90) -> None:
        """Wait until a task is in a stage; fails when it ends before."""

        def there(task: dict[str, Any]) -> bool:
            if task["state"] in FINAL and task["stage"] != stage:
                # No AssertionError, which would count as "not yet".
                raise RuntimeError(f"ended before {stage}: {task}")
            return bool(task["stage"] == stage)

        await self.wait(f"/tasks/{task_id}", there, timeout, message=f"{task_id} in {stage}")

    async def question(self, project_id: str, timeout: float = 90, *, other_than: str = "") -> dict[str, Any]:
        """The open question of a project."""

        def asked(found: dict[str, Any]) -> dict[str, Any] | None:
            return next((dict(q) for q in found["items"] if q["id"] != other_than), None)

        path = "/questions"
        return await self.wait(path, asked, timeout, message="a question", project_id=project_id, state="open")

    def pid_of(self, part: str) -> int:
        """The process id of a part, from the record that `up` keeps."""
        return int(json.loads((self.home / "processes" / f"{part}.json").read_text())["pid"])

    async def kill(self, part: str) -> None:
        """SIGKILL one part and wait until its supervisor has brought it back."""
        pid = self.pid_of(part)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: self.pid_of(part) != pid, 60, message=f"{part} restarted")

    async def client(self) -> Client:
        keyring = KeyRing.load(self.settings.codec_key_file)
        return await temporal_client.connect(self.settings, keyring=keyring)

    def admin_key(self) -> str:
        return (self.home / "keys" / "admin.key").read_text().strip()

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port_base}",
            headers={"Authorization": f"Bearer {self.admin_key()}"},
            verify=False,  # plain HTTP: reading the machine's certificates takes longer than the request
        )

    def agent_runs(self) -> list[dict[str, Any]]:
        """The scripted agent's own log: one `start` and one `end` for each of its runs."""
        logs = [self.home / "logs" / "scripted-agent.jsonl", *self.home.glob("agents/homes/*/scripted-agent.jsonl")]
        lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def container_starts(self) -> list[str]:
        """Names of the containers that the engine started since this platform began, one for each start."""
        return (self.home.parent / CONTAINER_STARTS).read_text().split()

    def processes(self) -> list[psutil.Process]:
        """Every process that was started for this home, however deep."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            if str(self.home) in " ".join(process.info["cmdline"] or []) or _of_home(process, self.home):
                found.append(process)
        return found


async def _document(http: httpx.AsyncClient, path: str, params: dict[str, str]) -> dict[str, Any]:
    reply = await http.get(path, params=params)
    assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text}"
    return dict(reply.json())


def _of_home(process: psutil.Process, home: Path) -> bool:
    try:
        return str(home) in process.cwd()
    except (psutil.Error, OSError):
        return False


@asynccontextmanager
async def running_stack(home: Path, *, stop_services: bool = True, **extra: str) -> AsyncIterator[Stack]:
    """`orchestrator up --detach`, and `down --services` at the end; its server in a container goes with it.

    Without `stop_services` the services go with that server only: each takes seconds to be stopped.
    """
    stack = Stack(home, free_ports(3), free_ports(100), extra=extra)
    async with AsyncExitStack() as cleanup:
        # A platform of processes uses no engine: another test may be killing it.
        in_containers = stack.env.get("ORCHESTRATOR_RUNTIME") != "process" and no_engine() is None
        if in_containers:
            await cleanup.enter_async_context(engine.starts_written(home.parent / CONTAINER_STARTS))
            cleanup.push_async_callback(LocalServers(home).remove, CONTAINER_SERVER)
        down = ("down", "--services") if stop_services else ("down",)
        cleanup.push_async_callback(stack.cli, *down, timeout=120)
        # The first start on a machine builds the image of that server.
        said = await stack.cli("up", "--detach", timeout=400)
        assert said.code == 0, said.out + said.err
        server = await engine.server_of(home)
        assert server or not in_containers, (home / "logs" / "workers.log").read_text()[-5_000:]
        yield replace(stack, server=server)
