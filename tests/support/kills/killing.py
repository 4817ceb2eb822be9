"""SIGKILL from outside, and when the successor does its work."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.kills.run import asked
from tests.support.patience import within
from tests.support.stack import ROOT, Stack

DOCKER = "docker"
PARTS = ("workers", "api", "temporal", "postgres", DOCKER)
NAMES = {
    "workers": "Temporal worker",
    "api": "API",
    "temporal": "Temporal server",
    "postgres": "PostgreSQL",
    DOCKER: "Docker daemon",
}
_PID_FILE = Path("/var/run/docker.pid")
_ALLOWED = "CHAOS_DOCKERD"


def spared_engine() -> str | None:
    """Why the Docker daemon of this machine is not killed; None when it may be."""
    if os.environ.get("CI") != "true" and os.environ.get(_ALLOWED) != "1":
        return f"the engine of this machine is yours, not ours to kill: {_ALLOWED}=1 allows it"
    if os.geteuid() != 0 or not _PID_FILE.exists():
        return f"only root can kill and start it again, and {_PID_FILE} must say which process it is"
    if _ask_engine("{{.LiveRestoreEnabled}}") != "true":
        return "it runs without --live-restore, so every container of this machine would end with it"
    return None


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes that are there and do not answer."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def kill(stack: Stack, part: str, timeout: float = 90) -> float:
    """SIGKILL a part; returns after how many seconds its successor did its work."""
    clock = asyncio.get_running_loop().time
    began = clock()
    if part == DOCKER:
        await kill_engine(timeout)
    else:
        pid = stack.pid_of(part)
        os.kill(pid, signal.SIGKILL)
        _: bool = await eventually(lambda: _successor(stack, part, pid), timeout, message=f"{part} works again")
    return clock() - began


async def _successor(stack: Stack, part: str, killed: int) -> bool:
    try:
        pid = stack.pid_of(part)
    except (FileNotFoundError, ValueError):
        return False
    if pid == killed:
        return False
    if part == "workers":
        ready = stack.home / "processes" / "workers.ready"
        return ready.exists() and ready.read_text().strip() == str(pid)
    health = await asked(stack, "/health")
    return health is not None and bool(health["database"]) and bool(health["temporal"])


async def kill_engine(timeout: float = 90) -> None:
    """Kill it and start it again, because nothing supervises it here. Returns when it answers."""
    os.kill(int(_PID_FILE.read_text()), signal.SIGKILL)
    process = await asyncio.create_subprocess_exec(
        str(ROOT / "infra" / "docker" / "ensure_docker.sh"),
        env={**os.environ, "DOCKER": "install"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await within(process.communicate(), timeout)
    assert process.returncode == 0, said.decode()


def _ask_engine(form: str) -> str:
    program = shutil.which("docker")
    if program is None:
        return ""
    done = subprocess.run([program, "info", "--format", form], capture_output=True, text=True, check=False)
    return done.stdout.strip()
