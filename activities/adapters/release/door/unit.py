"""The front door of a server: Caddy as units of systemd, so that neither the engine nor a prune can take it away.

Standard library only: servers import it. As a program: `prepare`, when a server is prepared.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.release.directory import USERS
from activities.adapters.release.door import systemd
from activities.adapters.release.door.front_door import CONFIG, FrontDoor
from activities.adapters.release.door.link_local import refuse_link_local
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.unprivileged import UserTable
from contracts.errors import ErrorCode, OrchestratorError, bounded

TEMPLATE = "orchestrator-front-door@.service"
DIRECTORY = ".front-door"
"""Beside the projects of the server: it is theirs, not the machine's."""
# Of all rights only to listen below port 1024. `User=` needs a name in the server's own table of users.
_AS_USER = (
    "/usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set -all,+net_bind_service"
    " --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service"
)
_UNIT = """# Written by the platform whenever it starts a front door; changes are lost.
[Unit]
Description=Front door of a service that is deployed here: %i
After=network.target
StartLimitIntervalSec=0

[Service]
WorkingDirectory={root}/%i
Environment=HOME={root}/%i XDG_DATA_HOME={root}/%i XDG_CONFIG_HOME={root}/%i
ExecStart={as_user} {program} run --config {root}/%i/{config}
Restart=always
RestartSec=1
TimeoutStopSec=12
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SETPCAP
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ReadWritePaths={root}/%i
InaccessiblePaths=-/run/docker.sock -/run/containerd
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
MemoryMax=256M
TasksMax=128

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class SystemdDoor:
    """Implements `Keeper`. `program` is Caddy; without one the unit stays as it was written before."""

    root: Path
    program: Path | None
    user: RunAs

    async def runs(self, name: str) -> bool:
        return (await systemd.systemctl("is-active", "--quiet", unit_of(name)))[0] == 0

    async def start(self, name: str) -> None:
        if self.program is not None:
            await self._write(self.program)
        for command in ("enable", "restart"):
            code, said = await systemd.systemctl(command, unit_of(name))
            if code != 0:
                reason = bounded(f"{said}\n{await self.said(name)}", 1_500)
                raise OrchestratorError.transient(
                    ErrorCode.PROCESS_FAILED, f"The front door of the server cannot be started: {reason}"
                )

    async def end(self, name: str) -> None:
        if (systemd.UNITS / TEMPLATE).exists():
            await systemd.systemctl("disable", "--now", unit_of(name))

    async def said(self, name: str) -> str:
        return await systemd.end_of_log(unit_of(name))

    async def end_shared(self) -> bool:
        """Servers never had one."""
        return False

    async def _write(self, program: Path) -> None:
        user = {"uid": self.user.uid, "gid": self.user.gid}
        text = _UNIT.format(
            root=self.root, program=program, config=CONFIG, as_user=_AS_USER.format(**user)
        )  # fmt: skip
        await systemd.write_unit(TEMPLATE, text)


def unit_of(name: str) -> str:
    """The unit that holds the address of this name, `{project}-{service}`."""
    return TEMPLATE.replace("@", f"@{name}")


def server_door(services_dir: Path, program: str) -> FrontDoor | None:
    """The front door of this server. None where it has no systemd, or neither `program` (the path of Caddy) nor a door
    of before: then a switch stops the old release first."""
    caddy = Path(program) if program and Path(program).is_file() else None
    if not systemd.has_systemd() or (caddy is None and not (systemd.UNITS / TEMPLATE).exists()):
        return None
    return _door(services_dir / DIRECTORY, caddy)


def _door(root: Path, program: Path | None) -> FrontDoor:
    user = UserTable(root.parent / USERS, root.parent).claim("front-door")
    return FrontDoor(root, SystemdDoor(root, program, user), user)


async def _prepare(root: Path, program: str) -> None:
    """What a server has beside the release program. Says what it lacks. Repeatable."""
    if why := await refuse_link_local():
        sys.stdout.write(
            "Without a rule of its kernel services reach link-local addresses of this server, such as a cloud's"
            f" metadata at 169.254.169.254: {why}\n"
        )
    # A server that was made anew around its data has lost the unit, and nobody else starts it.
    if (door := server_door(root.parent, program)) is not None:
        await door.restore()


def main(arguments: list[str]) -> int:
    """`prepare ROOT PROGRAM`."""
    _, root, program = arguments
    asyncio.run(_prepare(Path(root), program))
    return 0
