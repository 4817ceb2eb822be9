"""The one server of an installation that others set up: its address is in the settings, its keys in the home.

It needs SSH, a user who may become root without a password, Python, and a Docker Engine at its
usual socket.
"""

from dataclasses import dataclass
from pathlib import Path

from activities.adapters.servers.remote_shell import ServerAccess, run_on
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

_SSH_PORT = 22
_LOOK_S = 30.0


@dataclass(frozen=True)
class KnownServer:
    """`address` is user@host[:port]; `keys` holds the private key `id_ed25519` and `known_hosts`."""

    address: str
    keys: Path

    async def access(self, handle: str) -> ServerAccess:
        """How to reach it. Makes no connection. Raises NOT_FOUND without a key or a known host."""
        user, _, place = self.address.partition("@")
        host, _, port = place.partition(":")
        key, known_hosts = self.keys / "id_ed25519", self.keys / "known_hosts"
        for file in (key, known_hosts):
            if not file.is_file():
                raise OrchestratorError(
                    ErrorCode.NOT_FOUND, f"The server {place} cannot be reached without the file {file}."
                )
        return ServerAccess(handle, host, int(port or _SSH_PORT), user, key, known_hosts)

    async def check(self, handle: str) -> None:
        """Raises OrchestratorError PROCESS_FAILED (transient) when SSH or its engine does not answer."""
        reply = await run_on(await self.access(handle), "docker info", timeout_s=_LOOK_S)
        if reply.code != 0:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"The Docker Engine of {self.address} does not answer: {reply.error.strip()[-500:]}",
                error_class=ErrorClass.TRANSIENT,
            )
