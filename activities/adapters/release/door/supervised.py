"""The front door of an installation: Caddy as supervised runs of this machine, one for each public address."""

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

_SHARED = "front-door"
"""The run of an older platform."""
_STOP_GRACE_S = 3.0
_TAIL = 4_000


@dataclass(frozen=True)
class SupervisedDoor:
    """Implements `Keeper`. `root` is the door's directory, `program` is Caddy."""

    root: Path
    supervisor: Supervisor
    program: Path
    user: RunAs | None

    async def runs(self, name: str) -> bool:
        return self.supervisor.status(run_of(name)).state == "running"

    async def start(self, name: str) -> None:
        await self.end(name)
        directory = self.root / name
        values = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(directory)) | {"PATH": os.defpath}
        argv = [str(self.program), "run", "--config", str(directory / CONFIG)]
        run = SupervisedCommand(run_of(name), argv, directory, values, restart=True, user=self.user)
        await self.supervisor.start(run)

    async def end(self, name: str) -> None:
        await self._remove(run_of(name))

    async def said(self, name: str) -> str:
        return end_of(self.supervisor.read_output(run_of(name), 0)[0].decode(errors="replace"), _TAIL)

    async def end_shared(self) -> bool:
        if self.supervisor.status(_SHARED).state == "absent":
            return False
        await self._remove(_SHARED)
        return True

    async def _remove(self, run: str) -> None:
        await self.supervisor.stop(run, _STOP_GRACE_S)
        await asyncio.to_thread(self.supervisor.remove, run)


def run_of(name: str) -> str:
    """The supervised run that holds the address of this name, `{project}-{service}`."""
    return f"front-door-{name}"


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
