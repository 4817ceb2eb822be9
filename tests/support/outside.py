"""What a stranger on the host sees of a platform: git, HTTP, directories, the process table. It asks no platform."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil

from contracts.ids import directory_name
from tests.support.services import engine
from tests.support.services.forges import repository_of
from tests.support.stack import Stack

RUN_MARK = "ORCHESTRATOR_RUN"
"""Every process of a supervised run carries the run's name in this variable."""
LetGo = Callable[[], Awaitable[None]]


class Place(Protocol):
    """Where a project is deployed, as the administrator of its server sees it."""

    async def releases(self) -> list[str]:
        """Names of the release directories."""

    async def read(self, path: str) -> str:
        """A file of the place; empty when there is none."""

    def held(self) -> AbstractAsyncContextManager[LetGo]:
        """Hold the lock of the directory as another process would, so that a deploy waits."""


@dataclass(frozen=True)
class HomePlace:
    """A directory of this machine: services are processes."""

    root: Path

    async def releases(self) -> list[str]:
        directory = self.root / "releases"
        return sorted(one.name for one in directory.iterdir()) if directory.is_dir() else []

    async def read(self, path: str) -> str:
        file = self.root / path
        return file.read_text() if file.exists() else ""

    def held(self) -> AbstractAsyncContextManager[LetGo]:
        return held(self.root / ".lock")


@dataclass(frozen=True)
class ServerPlace:
    """A directory of the server in a container: services are containers of its own engine."""

    server: str
    root: str

    async def releases(self) -> list[str]:
        return sorted((await engine.on_server(self.server, "ls", f"{self.root}/releases")).split())

    async def read(self, path: str) -> str:
        return await engine.on_server(self.server, "cat", f"{self.root}/{path}")

    @asynccontextmanager
    async def held(self) -> AsyncIterator[LetGo]:
        holding = f"mkdir -p {self.root} && exec flock {self.root}/.lock sh -c 'echo held; cat'"
        process = await asyncio.create_subprocess_exec(
            "docker", "exec", "--interactive", self.server, "sh", "-c", holding,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"

        async def let_go() -> None:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

        try:
            yield let_go
        finally:
            await let_go()


@dataclass(frozen=True)
class Outside:
    """The traces of one project of user `owner`."""

    stack: Stack
    project: str
    owner: int = 1

    @property
    def repository(self) -> Path:
        return repository_of(self.stack.home, f"u{self.owner}/{self.project}")

    @property
    def place(self) -> Place:
        """Who has a name second gets a directory with a suffix, which is not this one."""
        slug = directory_name(self.project)
        if self.stack.server:
            return ServerPlace(self.stack.server, f"/srv/{slug}")
        return HomePlace(self.stack.home / "services" / slug)

    async def commits(self, ref: str = "main") -> list[str]:
        """Commits of a branch, the newest first; empty without the branch."""
        return await self._git("rev-list", ref, "--")

    async def files(self, ref: str = "main") -> set[str]:
        """The files of a branch; empty without the branch."""
        return set(await self._git("ls-tree", "-r", "--name-only", ref))

    async def _git(self, *arguments: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", f"--git-dir={self.repository}", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode().split() if process.returncode == 0 else []

    async def releases(self) -> list[str]:
        return await self.place.releases()

    async def current(self) -> dict[str, Any]:
        """The manifest of the release that `current` points to; empty when there is none."""
        manifest = await self.place.read("current/release.json")
        return dict(json.loads(manifest)) if manifest else {}

    async def environment(self) -> dict[str, str]:
        """What the current release was given, from its private file."""
        lines = (await self.place.read("current/env/backend.env")).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@asynccontextmanager
async def held(lock: Path) -> AsyncIterator[LetGo]:
    """Hold a lock file as another process would, so that a step waits; yields the function that releases it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        async def let_go() -> None:
            fcntl.flock(file, fcntl.LOCK_UN)

        yield let_go


async def answer(url: str, path: str = "/health") -> dict[str, Any]:
    """The JSON that a deployed service answers with; `{"error": …}` when it does not answer with 200."""
    try:
        async with httpx.AsyncClient(timeout=5) as visitor:
            reply = await visitor.get(f"{url}{path}")
    except httpx.TransportError as error:
        return {"error": type(error).__name__}
    return dict(reply.json()) if reply.status_code == 200 else {"error": reply.status_code}


async def processes_of(stack: Stack, mark: str) -> list[str]:
    """What runs for a task or a release, a line each: processes by the id in their run, arguments or directory;
    containers, on this machine and on the platform's server, by their name."""
    found = [shown for process in stack.processes() if (shown := _shown(process)) and mark in shown]
    if stack.server:
        found += await engine.here(mark)
        found += await engine.there(stack.server, mark)
    return found


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
    """How often an agent began, for each turn of a task: by the agent's own log, or by the engine's for containers."""
    prefix = f"turn-{task_id}-"
    if stack.server:
        names = [name for name in stack.container_starts() if name.startswith(prefix)]
        return {name.rpartition("-")[2]: names.count(name) for name in names}
    started = [run["pid"] for run in stack.agent_runs() if run["event"] == "start"]
    turns = (stack.home / "runs").glob(f"{prefix}*/status.json")
    return {file.parent.name.rpartition("-")[2]: started.count(json.loads(file.read_text())["pid"]) for file in turns}


@dataclass(frozen=True)
class Found:
    """A file that holds a text. `path` begins with `home/` or `server/`; `mode` is its permission bits."""

    path: str
    mode: int


def files_below(root: Path) -> Iterator[Path]:
    """Its files, without links. Also while others write and remove: what has gone meanwhile is left out."""
    for directory, _, names in os.walk(root):
        paths = (Path(directory, name) for name in names)
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


async def files_with(stack: Stack, text: str) -> list[Found]:
    """Files of the home and of the server that hold `text` anywhere, also within binary ones."""
    wanted = text.encode()
    found = [
        Found(f"home/{path.relative_to(stack.home)}", path.stat().st_mode & 0o777)
        for path in files_below(stack.home)
        if wanted in _bytes(path)
    ]
    return found + (await _server_files_with(stack.server, text) if stack.server else [])


async def _server_files_with(server: str, text: str) -> list[Found]:
    search = (
        "grep --recursive --files-with-matches --binary-files=text --fixed-strings --devices=skip --null"
        f" --regexp='{text}' /srv /etc /home /root /tmp /var/log"
    )
    said = await engine.on_server(server, "sh", "-c", f"{search} | xargs --null --no-run-if-empty stat -c '%a %n'")
    return [Found(f"server{path}", int(mode, 8)) for mode, path in (line.split(" ", 1) for line in said.splitlines())]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # gone between the listing and the look
