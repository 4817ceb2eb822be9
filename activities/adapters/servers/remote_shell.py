"""A server over SSH: its host key is known before the first use and always checked strictly."""

from dataclasses import dataclass
from pathlib import Path

from activities.adapters.containers.command import Reply, run_program
from contracts.errors import ErrorCode, OrchestratorError, bounded

_CONNECT_S = 10
_NO_CONNECTION = 255
"""The exit code that ssh keeps for itself."""


@dataclass(frozen=True)
class ServerAccess:
    """How a server is reached: an address, a user who may become root, a private key and the server's host keys."""

    handle: str
    host: str
    port: int
    user: str
    key_file: Path
    known_hosts_file: Path

    def login(self) -> list[str]:
        """The program of this machine that runs, there, the words that follow."""
        options = ssh_options(self.known_hosts_file)
        return ["ssh", *options, "-i", str(self.key_file), "-p", str(self.port), f"{self.user}@{self.host}"]

    def command(self, command: str) -> list[str]:
        """A program of this machine that runs a shell command as root there."""
        return [*self.login(), f"sudo -n {command}"]

    def inventory(self) -> dict[str, str | int | bool]:
        """The variables of the host in an Ansible inventory."""
        return {
            "ansible_host": self.host,
            "ansible_port": self.port,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(self.key_file),
            "ansible_ssh_args": ansible_words(ssh_options(self.known_hosts_file)),
            "ansible_pipelining": True,
            "ansible_become": True,
            "ansible_python_interpreter": "/usr/bin/python3",
        }


async def run_on(access: ServerAccess, command: str, *, stdin: bytes = b"", timeout_s: float = 60.0) -> Reply:
    """Run a shell command as root. Raises OrchestratorError SERVER_UNREACHABLE (transient) when SSH fails."""
    reply = await run_program(access.command(command), stdin=stdin or None, timeout_s=timeout_s)
    if reply.code == _NO_CONNECTION:
        reason = f"Server {access.handle} cannot be reached over SSH: {bounded(reply.error.strip(), 500)}"
        raise OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, reason)
    return reply


def ansible_words(options: list[str]) -> str:
    """As one text: Ansible splits it like a shell."""
    return " ".join(option.replace('"', '\\"') for option in options)


KEPT_CONNECTION = {"ControlMaster": "auto", "ControlPersist": "60"}
"""For a program that logs in many times: it says where the socket of the connection is, and ends it."""


def ssh_options(known_hosts: Path, **other: str) -> list[str]:
    """Options for ssh: the caller's own configuration, agent and known hosts are not used."""
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": str(_CONNECT_S),
        "ControlMaster": "no",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "LogLevel": "ERROR",
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "10",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{known_hosts}"',
    } | other
    return ["-F", "none", *(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))]
