"""Data of services on servers in containers of this machine: archives of `/srv` there, without releases."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError, end_of
from runtime import private_files
from runtime.backups import inside_server
from runtime.backups.copies import sha256_of
from runtime.embedded import local_servers

SUFFIX = ".tar"
_SCRIPT = Path(inside_server.__file__)


async def copy_server_data(home: Path, to: Path) -> tuple[dict[str, str], list[str]]:
    """An archive for each server of this home that runs: their hashes by handle, and in words what was left out."""
    hashes, left_out = dict[str, str](), list[str]()
    for handle, name, running in await _servers(home):
        if not running:
            left_out.append(f"data of the services on the server {handle}, whose container {name} does not run")
            continue
        target = to / f"{handle}{SUFFIX}"
        said = await _archived(name, target)
        left_out += [f"a consistent copy of {line.partition(': ')[2]} on the server {handle}" for line in said]
        hashes[handle] = await asyncio.to_thread(sha256_of, target)
    return hashes, left_out


def archive_hashes(archives: Path) -> dict[str, str]:
    """Of a copy, by handle. Blocks."""
    return {path.stem: sha256_of(path) for path in sorted(archives.glob(f"*{SUFFIX}"))}


async def put_server_data(archive: Path, name: str) -> None:
    """Unpack an archive in the server whose container is `name`. Repeatable. Raises BACKUP_FAILED."""
    with archive.open("rb") as file:
        process = await asyncio.create_subprocess_exec(
            "docker", "exec", "--interactive", name,
            "tar", "-xp", "--numeric-owner", "-C", inside_server.ROOT, "-f", "-",
            stdin=file, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate()
    if process.returncode != 0:
        words = end_of(said.decode(errors="replace").strip(), 500)
        raise OrchestratorError(
            ErrorCode.BACKUP_FAILED, f"The data of {archive.stem} could not be put into {name}: {words}"
        )


async def _servers(home: Path) -> list[tuple[str, str, bool]]:
    """Handle, container, and whether it runs. None without a Docker Engine."""
    if shutil.which("docker") is None:
        return []
    form = f'{{{{.Names}}}}\t{{{{.Label "{local_servers.LABEL}"}}}}\t{{{{.State}}}}'
    process = await asyncio.create_subprocess_exec(
        "docker", "ps", "--all", "--filter", f"label={local_servers.LABEL}", "--format", form,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, said = await process.communicate()
    if process.returncode != 0:
        raise OrchestratorError.transient(
            ErrorCode.DOCKER_UNREACHABLE,
            f"Servers in containers cannot be listed: {end_of(said.decode(errors='replace').strip(), 500)}",
        )
    rows = [line.split("\t") for line in out.decode().splitlines()]
    return [
        (handle, name, state == "running")
        for name, handle, state in sorted(rows)
        if name == local_servers.container_name(home, handle)
    ]


async def _archived(name: str, target: Path) -> list[str]:
    """What the program inside says of files that it could not copy as it should. Raises BACKUP_FAILED."""
    private_files.make_directory(target.parent)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        process = await asyncio.create_subprocess_exec(
            "docker", "exec", "--interactive", name, "python3", "-I", "-",
            stdin=asyncio.subprocess.PIPE, stdout=file, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate(_SCRIPT.read_bytes())
    lines = said.decode(errors="replace").splitlines()
    if process.returncode != 0:
        raise OrchestratorError(
            ErrorCode.BACKUP_FAILED,
            f"The data of services in {name} could not be copied: {end_of(' '.join(lines), 500)}",
        )
    return lines
