"""The servers in the database, and how they are reached: what their rows say, with the keys in the home."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers.command import run_program
from activities.adapters.release.directory import write_private
from activities.adapters.servers.container import SSH_PORT, LocalServers
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import Servers
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ServerDTO
from contracts.states import ServerKind

_PLAIN = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
"""An address or a user that is no option to ssh and no template to Ansible: either would run commands here."""


@dataclass(frozen=True)
class RegisteredServers:
    """`key` is the private key for servers that somebody else has set up. Such a server needs SSH, a user who may
    become root without a password, Python, and a Docker Engine at its usual socket. `place` is a directory of the
    platform."""

    servers: Servers
    local: LocalServers
    key: Path
    place: Path
    moved: Callable[[ServerDTO, str], Awaitable[None]] | None = None
    """Told the row and the new address of a server in a container whose address has changed."""

    async def access(self, handle: str) -> ServerAccess:
        """How to reach a server; one in a container of this machine is created or started first.

        Raises OrchestratorError NOT_FOUND without a row, a key or a host key, INVALID_INPUT for an invalid address or
        user name, and what `LocalServers.access` raises.
        """
        row = await self.servers.server(handle)
        if row.kind is not ServerKind.CONTAINER:
            return await asyncio.to_thread(self._known, row)
        access = await self.local.access(handle)
        if self.moved is not None and access.host != row.public_ip:
            await self.moved(row, access.host)
        return access

    async def public_address(self, handle: str) -> str:
        """Where the services of a server answer now."""
        row = await self.servers.server(handle)
        return (await self.access(handle)).host if row.kind is ServerKind.CONTAINER else row.public_ip

    def _known(self, row: ServerDTO) -> ServerAccess:
        host = row.ssh_host or row.public_ip
        if not (_PLAIN.fullmatch(host) and _PLAIN.fullmatch(row.ssh_user)):
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT,
                f"The server {row.handle} has an invalid address or user name. Register a server with valid ones.",
            )
        if not row.host_key or not self.key.is_file():
            missing = f"the file {self.key}" if row.host_key else "its host key in known_hosts when the worker starts"
            raise OrchestratorError(
                ErrorCode.NOT_FOUND, f"The server {row.handle} cannot be reached without {missing}."
            )
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        known_hosts = self.place / f"{row.handle}.known_hosts"
        text = "".join(f"{_place(host, row.ssh_port)} {line}\n" for line in row.host_key.splitlines())
        if not known_hosts.exists() or known_hosts.read_text() != text:
            write_private(known_hosts, text)
        return ServerAccess(row.handle, host, row.ssh_port, row.ssh_user, self.key, known_hosts)


async def host_keys(known_hosts: Path, host: str, port: int) -> str:
    """The keys of a host from a known_hosts file, in the form of its row; empty if the file does not have the host."""
    reply = await run_program(["ssh-keygen", "-F", _place(host, port), "-f", str(known_hosts)])
    lines = [line.split()[1:3] for line in reply.text.splitlines() if line and not line.startswith("#")]
    return "\n".join(" ".join(line) for line in lines)


def _place(host: str, port: int) -> str:
    """The host as known_hosts files name it."""
    return host if port == SSH_PORT else f"[{host}]:{port}"
