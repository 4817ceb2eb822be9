"""The sample project as containers on a server in a container: seen from outside, over SSH and through the engine."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from activities.adapters.ansible_container_target import AnsibleContainerTarget
from activities.adapters.remote_shell import ServerAccess, run_on
from activities.adapters.server_container import BASE_IMAGE, LocalServers
from activities.ports import DeployTarget
from tests.support.sample_service import SampleProject

DOCKERFILE = f"""
FROM {BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
"""


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

    async def access(self, handle: str) -> ServerAccess:
        assert handle == self.handle
        return await LocalServers(self.home).access(handle)

    async def run(self, command: str) -> str:
        """A shell command as root on the server; its output."""
        reply = await run_on(await self.access(self.handle), f"sh -c {_quoted(command)}")
        assert reply.code == 0, reply.error
        return reply.text

    async def remove(self) -> None:
        await LocalServers(self.home).remove(self.handle)


@dataclass
class ContainerProject(SampleProject):
    """A project whose target is the server; `server` must be given."""

    server: Any = None

    @property
    def target(self) -> DeployTarget:
        return AnsibleContainerTarget(self.home, self.artifacts, self.server, start_timeout_s=self.start_timeout_s)

    def build_files(self) -> dict[str, str]:
        return {"Dockerfile": DOCKERFILE}


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"


def outer_engine(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, env=os.environ)
    return done.stdout.strip()
