"""The front door of an installation: Caddy as a supervised run of this machine."""

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.release.door.front_door import CONFIG, FrontDoor
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from contracts.errors import end_of
from runtime.other_users import blocked_at

RUN = "front-door"
_STOP_GRACE_S = 3.0
_TAIL = 4_000


@dataclass(frozen=True)
class SupervisedDoor:
    """Implements `Keeper`. `root` is the door's directory, `program` is Caddy."""

    root: Path
    supervisor: Supervisor
    program: Path
    user: RunAs | None

    async def runs(self) -> bool:
        return self.supervisor.status(RUN).state == "running"

    async def start(self) -> None:
        await self.end()
        values = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(self.root)) | {"PATH": os.defpath}
        argv = [str(self.program), "run", "--config", str(self.root / CONFIG)]
        await self.supervisor.start(SupervisedCommand(RUN, argv, self.root, values, restart=True, user=self.user))

    async def end(self) -> None:
        await self.supervisor.stop(RUN, _STOP_GRACE_S)
        await asyncio.to_thread(self.supervisor.remove, RUN)

    async def said(self) -> str:
        return end_of(self.supervisor.read_output(RUN, 0)[0].decode(errors="replace"), _TAIL)


def caddy() -> Path | None:
    """The program that comes with the platform's packages, else this machine's own."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which("caddy", path=places)
    return Path(found) if found else None


def front_door(home: Path, user: RunAs | None) -> FrontDoor | None:
    """The front door of an installation; None where there is no Caddy: then a switch stops the old release first."""
    program = caddy()
    if program is None:
        return None
    own = user if user is not None and blocked_at(program) is None else None
    root = home / "front-door"
    return FrontDoor(root, SupervisedDoor(root, Supervisor(home / "runs"), program, own), own)
