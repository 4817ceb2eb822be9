"""What the Docker Engines of a platform say: the one of this machine, and the one on its server in a container."""

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from activities.adapters.containers import command as docker_command
from activities.adapters.playbooks.by_server import CONTAINER_SERVER
from activities.adapters.servers.container import LocalServers
from contracts.errors import OrchestratorError


async def server_of(home: Path) -> str:
    """The container that is the server of this home; empty when it has none."""
    name = LocalServers(home).container(CONTAINER_SERVER)
    try:
        reply = await docker_command.try_run("inspect", "--format", "{{.State.Running}}", name)
    except OrchestratorError:
        return ""
    return name if reply.text == "true" else ""


async def on_server(server: str, *command: str) -> str:
    """What a command says that root runs on the server; empty when it fails."""
    reply = await docker_command.try_run("exec", server, *command)
    return reply.text if reply.code == 0 else ""


async def seen_from(server: str) -> str:
    """The address of this machine for what runs on the server."""
    return await on_server(server, "sh", "-c", "ip -4 route show default | cut -d ' ' -f 3")


async def here(mark: str) -> list[str]:
    """The processes of running containers of this machine that have `mark` in their name, a line each."""
    names = await docker_command.run("ps", "--filter", f"name={mark}", "--format", "{{.Names}}")
    found = []
    for name in names.split():
        # One that ends at this moment has no processes any more.
        reply = await docker_command.try_run("top", name, "-eo", "pid,args")
        found += [f"[{name}] {line}" for line in reply.text.splitlines()[1:]]
    return found


async def there(server: str, mark: str) -> list[str]:
    """The running containers of the server that have `mark` in their name, a line each with their command."""
    form = "[{{.Names}}] {{.Command}}"
    said = await docker_command.run(
        "exec", server, "docker", "ps", "--no-trunc", "--filter", f"name={mark}", "--format", form
    )
    return said.splitlines()


@asynccontextmanager
async def starts_written(file: Path) -> AsyncIterator[None]:
    """Write the name of each container that this machine's engine starts; its own word, not the platform's."""
    with file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            docker_command.program(), "events", "--filter", "type=container", "--filter", "event=start",
            "--format", "{{.Actor.Attributes.name}}",
            stdout=log, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


_IN_USE = Path(tempfile.gettempdir()) / "orchestrator-tests-engine.lock"


@contextmanager
def in_use() -> Iterator[None]:
    """Use this machine's engine while it must not be killed."""
    with _IN_USE.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@asynccontextmanager
async def used() -> AsyncIterator[None]:
    """`in_use`, waited for without holding up whatever else goes on."""
    with _IN_USE.open("a") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_SH)
        yield


@asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """Wait until no test uses the engine, and keep it so: it is killed in the block."""
    with _IN_USE.open("a") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
