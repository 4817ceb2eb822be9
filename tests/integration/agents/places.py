"""A place for turns of a real agent: a container of its image for each, without a network; two folders stay."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from activities.adapters.agents import scripted
from activities.adapters.agents.base import AgentCall
from activities.adapters.agents.wrapped import MODEL_PLACE
from activities.adapters.containers.workspaces import HOME, WORKSPACE

SCRIPT = "/opt/scripted_agent"
_USER = 1000
_RESTRICTED = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "1024")
_AGENT = "pkill -{signal} -P $(pgrep -o -P 1)"
"""The first process hands signals on; its oldest child is the wrapper, whose child is the agent's program."""


@dataclass
class ContainerPlace:
    """Implements `Place`. The folders are the agent's own, as its volumes are; the model's socket is read-only."""

    image: str
    root: Path
    sockets: Path
    mark: str = field(default_factory=lambda: uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.home, self.workspace = self.root / "home", self.root / "workspace"
        self.home.mkdir(parents=True)

    def own(self) -> None:
        """Give home and workspace, with what is in them, to the agent's user."""
        self.workspace.mkdir(exist_ok=True)
        for place in (self.home, self.workspace):
            for path in (place, *place.rglob("*")):
                os.chown(path, _USER, _USER, follow_symlinks=False)

    async def start(self, call: AgentCall, name: str) -> asyncio.subprocess.Process:
        for path, content in call.files.items():
            self._made((self.home / path).parent)
            (self.home / path).write_bytes(content)
            os.chown(self.home / path, _USER, _USER)
        self._made(self.home / "control" / name)
        binds = {self.home: HOME, self.workspace: WORKSPACE, Path(scripted.__file__).parent: f"{SCRIPT}:ro"}
        mounts = [part for source, target in binds.items() for part in ("-v", f"{source}:{target}")]
        variables = {"HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp", **call.environment, **call.secrets}
        return await asyncio.create_subprocess_exec(
            "docker", "run", "--name", self._container(name), *_RESTRICTED,
            *mounts, "-v", f"{self.sockets}:{MODEL_PLACE}:ro", "--tmpfs", "/tmp:exec,mode=1777",
            *(part for key, value in variables.items() for part in ("-e", f"{key}={value}")),
            "-w", WORKSPACE, "--user", str(_USER), self.image, *call.argv,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
        )  # fmt: skip

    async def kill(self, name: str) -> None:
        await _docker("rm", "--force", self._container(name))

    async def signal_agent(self, name: str, signal: str) -> None:
        code = await _docker("exec", self._container(name), "sh", "-c", _AGENT.format(signal=signal))
        assert code == 0, "the agent's program is found"

    def forget_agent(self) -> None:
        """Remove the home, with every session in it."""
        shutil.rmtree(self.home)
        self._made(self.home)

    def _container(self, name: str) -> str:
        return f"conformance-{self.mark}-{name}"

    def _made(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.parents):
            if path == self.root:
                return
            os.chown(path, _USER, _USER)


async def _docker(*arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()
