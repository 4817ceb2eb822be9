"""The services of a release as supervised processes of this machine. As a program: the release program for them."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from activities.adapters.packages.venv_cache import ensure_venv
from activities.adapters.release import directory
from activities.adapters.release.addresses import can_listen
from activities.adapters.release.build_context import export_commit
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.door.supervised import front_door
from activities.adapters.release.door.switching import ServicesBehindDoor
from activities.adapters.release.order import Order
from activities.adapters.release.program import main
from activities.adapters.release.services import (
    LOOPBACK,
    RAW_TAIL,
    Built,
    Phase,
    Release,
    ReleasedService,
)
from activities.adapters.runs.states import RunAs, RunStatus
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.adapters.runs.trees import remove_tree
from contracts.errors import ErrorCode
from runtime.embedded.ports import any_free

REQUIREMENTS = "requirements.txt"
_STOP_GRACE_S = 3.0
_PRIVATE_PORT = "private-port"


@dataclass(frozen=True, kw_only=True)
class ReleaseProcesses(ServicesBehindDoor):
    """Code comes from the bare repository `git_dir`, environments are kept in `venvs_dir`."""

    disk_full: ClassVar[ErrorCode] = ErrorCode.ARTIFACT_DISK_FULL
    building: ClassVar[str] = "Install the packages"
    takes_over: ClassVar[bool] = False
    runs_dir: Path
    git_dir: Path = Path()
    venvs_dir: Path = Path()

    async def check_out(self, release_id: str, commit: str) -> None:
        # Only the code: a release that is built again was live before, and its mark says so.
        app = self.place.release(release_id) / "app"
        remove_tree(app)
        app.mkdir(parents=True)
        await export_commit(self.git_dir, commit, app)

    async def is_built(self, recorded: dict[str, Any] | None) -> bool:
        return recorded is not None

    async def build(self, release_id: str, commit: str, timeout_s: float, recorded: dict[str, Any] | None) -> Built:
        """An environment with the project's packages, from the cache when it is there."""
        requirements = self.place.release(release_id) / "app" / REQUIREMENTS
        venv = ensure_venv([requirements] if requirements.is_file() else [], self.venvs_dir, sys.executable)
        return Built(str(venv / "bin" / "python"), venv=str(venv))

    async def forget(self, release_id: str | None = None) -> None:
        """Nothing: environments belong to lists of packages, not to projects."""

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.runs_dir)

    async def names(self) -> list[str]:
        return sorted(path.name for path in self.runs_dir.glob(f"svc-{self.place.slug}-*-*"))

    async def state(self, name: str) -> RunStatus:
        return self.supervisor.status(name)

    async def ended(self, name: str) -> RunStatus:
        return await self.supervisor.wait(name)

    async def tail(self, name: str) -> str:
        try:
            size = (self.runs_dir / name / "output.log").stat().st_size
        except FileNotFoundError:
            return ""
        content, _ = self.supervisor.read_output(name, max(0, size - RAW_TAIL), RAW_TAIL)
        # Half of a character that was cut is dropped.
        return content.decode(errors="ignore")

    async def stop(self, name: str) -> None:
        await self.supervisor.stop(name, grace_s=_STOP_GRACE_S)
        await asyncio.to_thread(self.supervisor.remove, name)

    async def launch(
        self, name: str, release: Release, service: ReleasedService, phase: Phase, data: Path
    ) -> tuple[str, int]:
        state = self.supervisor.status(name).state
        if state in {"exited", "lost"}:
            await self.stop(name)
        values = {
            "PATH": f"{release.venv}/bin:{os.defpath}",
            "VIRTUAL_ENV": release.venv,
            "HOME": str(data),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        values |= directory.read_environment(self.place, release.release_id, service.name)
        values |= {"DATA_DIR": str(data), "RELEASE_PHASE": phase}
        host, port = self._address(name, release, service, phase, adopts=state == "running")
        if (host, port) != (release.near, service.port):
            values |= dict.fromkeys([*service.port_names, "PORT"], str(port)) | {"HOST": host}
        app = self.place.release(release.release_id) / "app"
        command = SupervisedCommand(name, service.argv, app, values, restart=phase == "live", user=self.user)
        await self.supervisor.start(command)
        return host, port

    def _address(
        self, name: str, release: Release, service: ReleasedService, phase: Phase, *, adopts: bool
    ) -> tuple[str, int]:
        """Where the service listens. The private port of a live one is remembered beside its run, and in its release: a
        visitor who waits while it is started again waits for this port."""
        if phase == "candidate":
            return LOOPBACK, any_free()
        known = self._private_port(name)
        if phase != "live" or self.door is None or (adopts and known is None):
            return release.near, service.port
        if known is None:
            kept = self.place.release(release.release_id) / f"{service.name}.{_PRIVATE_PORT}"
            before = _number(kept)
            known = before if before and can_listen(LOOPBACK, before) else any_free()
            (self.runs_dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in (kept, self.runs_dir / name / _PRIVATE_PORT):
                directory.write_private(file, str(known))
        return LOOPBACK, known

    def _private_port(self, name: str) -> int | None:
        return _number(self.runs_dir / name / _PRIVATE_PORT)

    async def private_address(self, name: str) -> tuple[str, int] | None:
        port = self._private_port(name)
        return None if port is None else (LOOPBACK, port)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except FileNotFoundError:
        return None


def services_of(order: Order, place: ProjectPlace) -> ReleaseProcesses:
    given = order.backend
    user = RunAs(**given["user"]) if given["user"] else None
    directories = {name: Path(given[name]) for name in ("runs_dir", "git_dir", "venvs_dir")}
    door_user = RunAs(**given["door_user"]) if given["door_user"] else None
    door = front_door(Path(given["home"]), door_user) if given["home"] else None
    return ReleaseProcesses(place=place, start_timeout_s=order.start_timeout_s, user=user, door=door, **directories)


if __name__ == "__main__":
    sys.exit(main(services_of))
