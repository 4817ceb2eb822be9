"""A place for turns of a real agent: a container of its image for each, without a network; two folders stay."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.integration.agents.turns import Event

_USER = 1000
_HOME, _WORKSPACE, _SOCKETS = "/home/agent", "/workspace", "/model"
_PROGRAM = ("/opt/acp/bin/python", "/opt/agent_wrapper")
_RESTRICTED = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "1024")


@dataclass
class ContainerPlace:
    """Implements `Place`. The folders are the agent's own, as its volumes are; the model's socket is read-only."""

    image: str
    root: Path
    token: str
    mark: str = field(default_factory=lambda: uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.home, self.workspace, self.sockets = (self.root / name for name in ("home", "workspace", "model"))
        for folder in (self.home, self.workspace, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
            if folder is not self.sockets:
                os.chown(folder, _USER, _USER)

    def job(self, row: Event, prompt: str, name: str, **more: object) -> Event:
        """The row's job with what every turn has."""
        return row | {
            "prompt": prompt,
            "workspace": _WORKSPACE,
            "control": f"{_HOME}/control/{name}",
            "model_socket": f"{_SOCKETS}/proxy.sock",
            **more,
        }

    async def start(self, job: Event, name: str) -> asyncio.subprocess.Process:
        self._own(self.home / "control" / name)
        file = self.home / f"{name}.json"
        file.write_text(json.dumps(job))
        os.chown(file, _USER, _USER)
        binds = {self.home: _HOME, self.workspace: _WORKSPACE}
        mounts = [part for source, target in binds.items() for part in ("-v", f"{source}:{target}")]
        variables = {"HOME": _HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp", "ORCHESTRATOR_MODEL_TOKEN": self.token}
        return await asyncio.create_subprocess_exec(
            "docker", "run", "--name", self._container(name), *_RESTRICTED,
            *mounts, "-v", f"{self.sockets}:{_SOCKETS}:ro", "--tmpfs", "/tmp:exec,mode=1777",
            *(part for key, value in variables.items() for part in ("-e", f"{key}={value}")),
            "-w", _WORKSPACE, "--user", str(_USER), self.image, *_PROGRAM, f"{_HOME}/{name}.json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
        )  # fmt: skip

    async def kill(self, name: str) -> None:
        await _docker("rm", "--force", self._container(name))

    async def kill_agent(self, name: str) -> None:
        # Inside of a container this reaches everybody but its first process, which is the wrapper.
        await _docker("exec", self._container(name), "sh", "-c", "kill -9 -1")

    def forget_agent(self) -> None:
        """Remove the home, with every session in it."""
        shutil.rmtree(self.home)
        self._own(self.home)

    def _container(self, name: str) -> str:
        return f"conformance-{self.mark}-{name}"

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.parents):
            if path == self.root:
                return
            os.chown(path, _USER, _USER)


async def _docker(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await process.wait()
