"""What a stranger on the host sees of a platform: git, HTTP, directories, the process table. It asks no platform."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from contracts.ids import project_slug
from tests.support.stack import Stack

RUN_MARK = "ORCHESTRATOR_RUN"
"""Every process of a supervised run carries the run's name in this variable."""


@dataclass(frozen=True)
class Outside:
    """The traces of one project of user `owner`."""

    stack: Stack
    project: str
    owner: int = 1

    @property
    def repository(self) -> Path:
        return self.stack.home / "forge" / f"u{self.owner}" / f"{self.project}.git"

    @property
    def place(self) -> Path:
        """Where the project is deployed; who has a name second gets a directory with a suffix."""
        return self.stack.home / "services" / project_slug(self.project)

    async def commits(self, ref: str = "main") -> list[str]:
        """Commits of a branch, the newest first; empty without the branch."""
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", f"--git-dir={self.repository}", "rev-list", ref, "--",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode().split() if process.returncode == 0 else []

    def releases(self) -> list[str]:
        """Names of the release directories."""
        directory = self.place / "releases"
        return sorted(one.name for one in directory.iterdir()) if directory.is_dir() else []

    def current(self) -> dict[str, Any]:
        """The manifest of the release that `current` points to; empty when there is none."""
        manifest = self.place / "current" / "release.json"
        return dict(json.loads(manifest.read_text())) if manifest.exists() else {}

    def environment(self) -> dict[str, str]:
        """What the current release was given, from its private file."""
        lines = (self.place / "current" / "env" / "backend.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


async def answer(url: str, path: str = "/health") -> dict[str, Any]:
    """The JSON that a deployed service answers with; `{"error": …}` when it does not answer with 200."""
    try:
        async with httpx.AsyncClient(timeout=5) as visitor:
            reply = await visitor.get(f"{url}{path}")
    except httpx.TransportError as error:
        return {"error": type(error).__name__}
    return dict(reply.json()) if reply.status_code == 200 else {"error": reply.status_code}


def processes_of(stack: Stack, mark: str) -> list[str]:
    """Living processes that belong to a task or a release, by the id in their run, arguments or directory."""
    return [shown for process in stack.processes() if (shown := _shown(process)) and mark in shown]


def _shown(process: psutil.Process) -> str:
    """Run, directory and arguments of a process; empty when it has ended meanwhile."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        run = process.environ().get(RUN_MARK, "")
        return " ".join([f"[{process.pid} {run}]", process.cwd(), *process.cmdline()])
    except (psutil.Error, OSError):
        return ""


def agent_starts(stack: Stack, task_id: str) -> dict[str, int]:
    """How often the agent's own log says that it ran, for each turn of a task."""
    started = [run["pid"] for run in stack.agent_runs() if run["event"] == "start"]
    turns = (stack.home / "runs").glob(f"turn-{task_id}-*/status.json")
    return {file.parent.name.rpartition("-")[2]: started.count(json.loads(file.read_text())["pid"]) for file in turns}


def files_with(stack: Stack, text: str) -> list[str]:
    """Files of the home, relative to it, that hold `text` anywhere, also within binary ones."""
    wanted = text.encode()
    found = (path for path in stack.home.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path.relative_to(stack.home)) for path in found if wanted in _bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # gone between the listing and the look
