"""The sample project as containers on a server in a container: seen from outside, over SSH and through the engine."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from activities.adapters.playbooks.hosts import OnServer
from activities.adapters.servers.container import BASE_IMAGE, LocalServers
from activities.adapters.servers.remote_shell import ServerAccess, run_on
from activities.ports import DeployTarget
from contracts.base import utc_now
from contracts.nouns import DeploymentDTO
from contracts.states import DeployAction, ReleaseState
from contracts.steps import OperationRequest
from tests.support.services.sample_service import Recorder, SampleProject

ROUTES = "/srv/.front-door/routes.json"
_WITH_PYTHON = f"""
FROM {BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
"""
DOCKERFILE = f"{_WITH_PYTHON}WORKDIR /app\nCOPY . .\n"


def no_engine() -> str | None:
    """Why tests with containers cannot run here; None when they can."""
    program = shutil.which("docker")
    if program is None:
        return "there is no docker program"
    done = subprocess.run([program, "image", "inspect", BASE_IMAGE], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no engine with the image {BASE_IMAGE}: {done.stderr.strip()[:200]}"


@dataclass
class OneServer:
    """A server of a test session, which outlives the state directories of its tests."""

    home: Path
    handle: str = field(default_factory=lambda: f"test-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.servers = LocalServers(self.home)
        self._has_layer = False

    async def access(self, handle: str) -> ServerAccess:
        assert handle == self.handle
        return await self.servers.access(handle)

    async def public_address(self, handle: str) -> str:
        return (await self.access(handle)).host

    async def prepare(self) -> ServerAccess:
        """Keep the layer that all samples start from: the image of each test goes with its test."""
        access = await self.access(self.handle)
        if self._has_layer:
            return access
        build = "docker build --quiet --network host --tag sample-base -"
        reply = await run_on(access, build, stdin=_WITH_PYTHON.encode(), timeout_s=300)
        assert reply.code == 0, reply.error
        self._has_layer = True
        return access

    async def run(self, command: str) -> str:
        """A shell command as root on the server; its output."""
        reply = await run_on(await self.access(self.handle), f"sh -c {_quoted(command)}")
        assert reply.code == 0, reply.error
        return reply.text

    async def remove(self) -> None:
        await self.servers.remove(self.handle)


@dataclass
class ContainerProject(SampleProject):
    """A project whose target is the server; `server` must be given."""

    server: Any = None

    @property
    def target(self) -> DeployTarget:
        return self.target_on(OnServer(self.home, self.forge, self.server, self.start_timeout_s), _nothing)

    @property
    def _label(self) -> str:
        return f"label=orchestrator.project={self.slug}"

    @property
    def _data_of_tests(self) -> str:
        return "data"

    async def let_go(self) -> None:
        """Its directories for data are all that a service sees of its server."""
        await self.server.run(
            f"for data in /srv/{self.slug}/data /srv/{self.slug}/candidates/*; do"
            " if [ -d $data ]; then touch $data/go; fi; done"
        )

    async def live(self) -> dict[str, str]:
        return {name: number for name, number in (await self._containers()).items() if "-cand-" not in name}

    async def candidates(self) -> list[str]:
        return [name for name in await self._containers() if "-cand-" in name]

    async def _containers(self) -> dict[str, str]:
        form = "'{{.Names}} {{.ID}}'"
        rows = await self.server.run(f"docker ps --no-trunc --filter {self._label} --format {form}")
        return dict(row.split() for row in rows.splitlines())

    async def releases(self) -> set[str]:
        return set((await self.server.run(f"ls /srv/{self.slug}/releases")).split())

    async def starts(self) -> list[str]:
        return list((await self.server.run(f"cat /srv/{self.slug}/data/started")).split())

    async def built(self, release_id: str) -> str:
        form = "{{.Id}} {{.Created}} {{.Metadata.LastTagTime}}"
        return str(await self.server.run(f"docker image inspect --format '{form}' svc-{self.slug}:{release_id}"))

    async def left(self) -> list[str]:
        names = await self.server.run(
            f"ls -d /srv/{self.slug} 2>/dev/null; docker ps --all --quiet --filter {self._label};"
            f" docker images --quiet svc-{self.slug}; docker network ls --quiet --filter {self._label};"
            f" grep --only-matching '\"{self.slug}\"' {ROUTES} || true"
        )
        return list(names.split())

    async def kept_data(self) -> list[str]:
        found = await self.server.run(f"find /srv/.removed -path '*/{self.slug}-*' -type f -printf '%f\\n'")
        return list(found.split())

    async def seen_by_others(self) -> str:
        inspected = "docker ps --all --quiet | xargs --no-run-if-empty docker inspect"
        history = f"docker images --quiet svc-{self.slug} | xargs --no-run-if-empty -n 1 docker history --no-trunc"
        there = await self.server.run(f"ps -eo args; {inspected}; {history}; find /tmp /home -type f | xargs cat")
        return f"{there}\n{await super().seen_by_others()}"

    async def remove(self) -> None:
        """As a person does."""
        request = OperationRequest(
            project_id=self.project_id, project_name=self.name, task_id="dep-remove", action=DeployAction.REMOVE
        )
        assert (await self.target.operate(request, self.released(), Recorder().follow)).ok

    def released(self) -> DeploymentDTO:
        """A row that says where the project is."""
        return DeploymentDTO(
            id="rel-any", project_id=self.project_id, task_id="dep-any", commit="a" * 40, state=ReleaseState.ACTIVE,
            server_handle=self.server_handle, number=1, created_at=utc_now(), updated_at=utc_now(),
        )  # fmt: skip

    async def clean_up(self) -> None:
        # What the front door still knows of it would be in the way of nobody, but would be told to it for ever.
        if await self.server.run(f"grep --count '\"{self.slug}\"' {ROUTES} || true") not in {"", "0"}:
            await self.remove()
        await self.server.run(
            f"docker ps --all --quiet --filter {self._label} | xargs --no-run-if-empty docker rm --force;"
            f" docker images --quiet svc-{self.slug} | xargs --no-run-if-empty docker rmi --force;"
            f" docker network ls --quiet --filter {self._label} | xargs --no-run-if-empty docker network rm;"
            f" rm -rf /srv/{self.slug} /srv/.removed/{self.slug}-*"
        )
        await super().clean_up()

    def build_files(self) -> dict[str, str]:
        return {"Dockerfile": DOCKERFILE}


async def _nothing() -> list[str]:
    """The engine of the server starts again what ran."""
    return []


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
