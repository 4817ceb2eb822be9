"""What happens around the platform: to its server, to the way there, to the stores of both engines, to a full disk.

Each event is over before the function returns, which tells how long the server then took until it worked again: SSH
answers, and its engine writes something.
"""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from activities.adapters.containers import command as docker
from activities.adapters.containers.engine import MARK
from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import BASE_IMAGE, LABEL, LocalServers
from contracts.errors import OrchestratorError
from tests.support.eventually import eventually
from tests.support.kills.killing import spared_engine

SERVER, NETWORK, PRUNE, DISK = "server", "network", "prune", "disk"
CUT_S, FULL_S, DOWN_S = 30.0, 25.0, 6.0
EVENTS = {
    SERVER: "Server",
    NETWORK: f"Network of the server, {CUT_S:g} s",
    PRUNE: "Prune",
    DISK: f"Full disk of the server's engine, {FULL_S:g} s",
}
_BACK_WITHIN_S = 90
_DISK_BYTES = 8 * 1024**3
_LEFT_BYTES = 300_000
_TOP_UP_S = 1.0
_PRUNE_ALL = ("system", "prune", "--all", "--force")


@dataclass(frozen=True)
class EngineDisk:
    """The disk under the engine of the server, as a directory of this machine."""

    place: Path

    @property
    def _ballast(self) -> Path:
        return self.place / "ballast"

    async def full(self, seconds: float) -> None:
        """Keep it full: what others remove meanwhile is taken, too."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        try:
            while (now := clock()) < until:
                await asyncio.to_thread(self._fill)
                await asyncio.sleep(min(_TOP_UP_S, until - now))  # how long it is full
        finally:
            self._ballast.unlink(missing_ok=True)

    def _fill(self) -> None:
        facts = os.statvfs(self.place)
        more = facts.f_bavail * facts.f_frsize - _LEFT_BYTES
        with self._ballast.open("ab") as file:
            while more > _LEFT_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), more)
                    return
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    more //= 2


def no_small_disk() -> str | None:
    """Why the server's engine cannot have a disk of its own here; None when it can."""
    if os.geteuid() != 0:
        return "only root can make a disk of a file"
    missing = [program for program in ("losetup", "mkfs.ext4", "mount") if shutil.which(program) is None]
    if missing or not Path("/dev/loop-control").exists():
        return f"a disk of its own for the server's engine needs {', '.join(missing) or '/dev/loop-control'}"
    return None


@asynccontextmanager
async def engine_disk(home: Path) -> AsyncIterator[EngineDisk]:
    """A disk of 8 GB for the engine of the server that this home will have.

    It is mounted where the volume of that name has its files, so that the engine knows a plain volume: of a volume
    with a device, an engine that was killed forgets whether it is mounted.
    """
    volume = f"{LocalServers(home).container(CONTAINER_SERVER)}-docker"
    await docker.run("volume", "create", volume)
    place = Path(await docker.run("volume", "inspect", "--format", "{{.Mountpoint}}", volume))
    try:
        with _loop_device(home.parent / "engine.disk") as device, _mounted(device, place):
            # What is not empty is taken for the store of an engine.
            (place / "lost+found").rmdir()
            yield EngineDisk(place)
    finally:
        await docker.try_run("volume", "rm", "--force", volume)


@contextmanager
def _loop_device(file: Path) -> Iterator[str]:
    with file.open("wb") as empty:
        empty.truncate(_DISK_BYTES)
    try:
        _done("mkfs.ext4", "-q", "-F", "-m", "0", str(file))
        device = _done("losetup", "--find", "--show", str(file))
        try:
            yield device
        finally:
            _done("losetup", "--detach", device)
    finally:
        file.unlink()


@contextmanager
def _mounted(device: str, place: Path) -> Iterator[None]:
    _done("mount", device, str(place))
    try:
        yield
    finally:
        # A container that ends at this moment may hold it for some milliseconds.
        _done("umount", "--lazy", str(place))


def _done(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


@asynccontextmanager
async def base_image_in_use() -> AsyncIterator[None]:
    """A container that has the base image in use: without a registry a pruned one never comes back by itself."""
    name = f"soak-keeps-the-base-image-{uuid4().hex[:8]}"
    await docker.run("run", "--detach", "--network", "none", "--name", name, BASE_IMAGE, "sleep", "infinity")
    try:
        yield
    finally:
        await docker.try_run("rm", "--force", name)


@dataclass(frozen=True)
class Surroundings:
    """Around the platform whose server is the container `server`."""

    server: str
    disk: EngineDisk | None = None

    async def befall(self, event: str) -> float:
        """Let it happen; returns after how many seconds from its end the server worked again."""
        clock = asyncio.get_running_loop().time
        await self._happenings[event]()
        ended = clock()
        _: bool = await eventually(self._works, _BACK_WITHIN_S, interval=0.2, message=f"the server after {event}")
        return clock() - ended

    @property
    def _happenings(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        return {SERVER: self._stop_and_start, NETWORK: self._cut, PRUNE: self._prune, DISK: self._fill}

    async def _stop_and_start(self) -> None:
        """As a machine that loses its power and comes back by itself, unless somebody has started it meanwhile."""
        await docker.run("kill", self.server)
        await asyncio.sleep(DOWN_S)  # how long it is down
        await docker.run("start", self.server)

    async def _cut(self) -> None:
        link = await self._link()
        try:
            _done("ip", "link", "set", link, "down")
            await asyncio.sleep(CUT_S)  # how long it is cut
        finally:
            # A server that was started anew has another one.
            if Path("/sys/class/net", link).exists():
                _done("ip", "link", "set", link, "up")

    async def _link(self) -> str:
        """This machine's end of the only link of the server."""
        number = await docker.run("exec", self.server, "cat", "/sys/class/net/eth0/iflink")
        return next(
            file.parent.name for file in Path("/sys/class/net").glob("*/ifindex") if file.read_text().strip() == number
        )

    async def _prune(self) -> None:
        await docker.run("exec", self.server, "docker", *_PRUNE_ALL, timeout_s=300)
        for command in prunes_here():
            await docker.run(*command, timeout_s=300)

    async def _fill(self) -> None:
        assert self.disk is not None, "a plan without a disk has no such event"
        await self.disk.full(FULL_S)

    async def _works(self) -> bool:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        try:
            address = await docker.run("inspect", "--format", form, self.server)
            write = "docker volume create soak-probe && docker volume rm soak-probe"
            reply = await docker.try_run("exec", self.server, "sh", "-c", write)
        except OrchestratorError:
            return False
        return reply.code == 0 and await _greets(address)


def prunes_here() -> list[tuple[str, ...]]:
    """What is pruned of the engine of this machine: all of it where it is ours, else what the platform has made."""
    if spared_engine() is None:
        return [_PRUNE_ALL]
    ours = [f"label={mark}" for mark in (MARK, LABEL)]
    images = [("image", "prune", "--all", "--force", "--filter", mark) for mark in ours]
    return [("container", "prune", "--force", "--filter", ours[0]), *images]


async def _greets(address: str) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address, 22)
            try:
                return (await reader.read(4)).startswith(b"SSH-")
            finally:
                writer.close()
    return False
