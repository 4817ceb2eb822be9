"""The front door of a server: Caddy as a unit of systemd, so that neither the engine nor a prune can take it away.

Standard library only: servers import it. As a program: `configure` before Caddy starts, `restore` after a server was
prepared.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import activities
from activities.adapters.release.directory import USERS, write_private
from activities.adapters.release.door.front_door import CONFIG, FrontDoor
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.unprivileged import UserTable
from contracts.errors import ErrorCode, OrchestratorError, bounded

NAME = "orchestrator-front-door.service"
DIRECTORY = ".front-door"
"""Beside the projects of the server: it is theirs, not the machine's."""
_UNITS = Path("/etc/systemd/system")
_SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd is the first process."""
_KIT = Path(activities.__file__).resolve().parents[1]
_CALL_S = 60.0
# Of all rights only to listen below port 1024. `User=` needs a name in the server's own table of users.
_AS_USER = (
    "/usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set -all,+net_bind_service"
    " --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service"
)
_UNIT = """# Written by the platform whenever it starts the front door; changes are lost.
[Unit]
Description=Front door of the services that are deployed here
After=network.target
StartLimitIntervalSec=0

[Service]
WorkingDirectory={root}
Environment=HOME={root} XDG_DATA_HOME={root} XDG_CONFIG_HOME={root}
ExecStartPre=/usr/bin/python3 -I {kit} door configure {root}
ExecStart={as_user} {program} run --config {root}/{config}
Restart=always
RestartSec=1
TimeoutStopSec=12
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ReadWritePaths={root} {users}
InaccessiblePaths=-/run/docker.sock -/run/containerd
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
MemoryMax=512M
TasksMax=256

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class SystemdDoor:
    """Implements `Keeper`. `program` is Caddy; without one the unit stays as it was written before."""

    root: Path
    program: Path | None
    user: RunAs

    async def runs(self) -> bool:
        return (await _systemctl("is-active", "--quiet", NAME))[0] == 0

    async def start(self) -> None:
        if self.program is not None:
            await self._write(self.program)
        for command in ("enable", "restart"):
            code, said = await _systemctl(command, NAME)
            if code != 0:
                reason = bounded(f"{said}\n{await self.said()}", 1_500)
                raise OrchestratorError.transient(
                    ErrorCode.PROCESS_FAILED, f"The front door of the server cannot be started: {reason}"
                )

    async def end(self) -> None:
        if (_UNITS / NAME).exists():
            await _systemctl("disable", "--now", NAME)

    async def said(self) -> str:
        return (await _run("journalctl", "--unit", NAME, "--lines", "20", "--output", "cat", "--no-pager"))[1]

    async def _write(self, program: Path) -> None:
        user = {"uid": self.user.uid, "gid": self.user.gid}
        text = _UNIT.format(
            root=self.root, users=self.root.parent / USERS, kit=_KIT, program=program, config=CONFIG,
            as_user=_AS_USER.format(**user),
        )  # fmt: skip
        file = _UNITS / NAME
        if not file.exists() or file.read_text() != text:
            write_private(file, text)
            file.chmod(0o644)
            await _systemctl("daemon-reload")


def server_door(services_dir: Path, program: str) -> FrontDoor | None:
    """The front door of this server. None where it has no systemd, or neither `program` (the path of Caddy) nor a door
    of before: then a switch stops the old release first."""
    caddy = Path(program) if program and Path(program).is_file() else None
    if not _SYSTEMD.is_dir() or (caddy is None and not (_UNITS / NAME).exists()):
        return None
    return _door(services_dir / DIRECTORY, caddy)


def _door(root: Path, program: Path | None) -> FrontDoor:
    user = UserTable(root.parent / USERS, root.parent).claim("front-door")
    return FrontDoor(root, SystemdDoor(root, program, user), user)


async def _systemctl(*arguments: str) -> tuple[int, str]:
    return await _run("systemctl", *arguments)


async def _run(*argv: str) -> tuple[int, str]:
    """Its exit code, and what it said. Raises PROCESS_FAILED (transient) if it takes longer than a minute."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_CALL_S):
            said, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        reason = f"`{' '.join(argv)}` took longer than {_CALL_S:g} s on the server."
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None
    return process.returncode or 0, (said + errors).decode(errors="replace").strip()


def main(arguments: list[str]) -> int:
    """`configure ROOT` or `restore ROOT PROGRAM`."""
    what, root = arguments[0], Path(arguments[1])
    if what == "configure":
        _door(root, None).configure()
    elif (door := server_door(root.parent, arguments[2])) is not None:
        asyncio.run(door.restore())
    return 0
