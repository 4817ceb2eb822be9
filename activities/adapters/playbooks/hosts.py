"""Where the release program runs: on this machine, or on a server that Ansible has prepared for it."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from activities.adapters.packages.registry_access import registry_files
from activities.adapters.playbooks.preparation import ensure_prepared
from activities.adapters.playbooks.release_kit import SERVICES, release_kit
from activities.adapters.release import directory
from activities.adapters.release.build_context import build_context
from activities.adapters.release.directory import ProjectPlace, claim_place
from activities.adapters.release.door.supervised import front_door
from activities.adapters.release.order import Order
from activities.adapters.release.processes import ReleaseProcesses
from activities.adapters.release.services import load_release
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.states import RunAs
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.servers.registered import RegisteredServers
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import Forge
from activities.rules.environment import bind_address
from contracts.errors import OrchestratorError

log = structlog.get_logger(__name__)


class ProgramHost(Protocol):
    """A machine that has the release program, and what the program is given there.

    A service may take `start_timeout_s` seconds until its first answer.
    """

    async def call(self, handle: str) -> list[str]:
        """The command that runs the program. Raises OrchestratorError, transient if the server does not answer."""

    async def prepare(self, handle: str) -> None:
        """Put the program there."""

    async def completed(self, order: Order, repository: str = "") -> Order:
        """The order, completed with what only this host knows."""

    async def input(self, order: Order, repository: str) -> bytes:
        """The program's input for a deploy: the order, and what follows it."""

    async def public_address(self, handle: str, allocated: str) -> str:
        """Where services answer now: a server may have another address than when it was allocated."""


@dataclass(frozen=True)
class ThisMachine:
    """Services are supervised processes. `home` is the state directory; `users` are whom services run as: one for
    each project, where the platform may drop to it.
    """

    home: Path
    forge: Forge
    users: UnprivilegedUsers
    start_timeout_s: float = 30.0

    @property
    def _services_dir(self) -> Path:
        return self.home / "services"

    @property
    def _door_user(self) -> RunAs | None:
        return self.users.for_owner("front-door")

    async def call(self, handle: str) -> list[str]:
        return [sys.executable, "-P", "-m", "activities.adapters.release.processes"]

    async def prepare(self, handle: str) -> None:
        """Nothing: the program is a part of the platform."""

    async def completed(self, order: Order, repository: str = "") -> Order:
        place = await asyncio.to_thread(claim_place, self._services_dir, order.project_id, order.project_name)
        user = self._user(place)
        backend: dict[str, Any] = {
            "runs_dir": str(self.home / "runs"),
            "venvs_dir": str(self.home / "caches" / "venvs"),
            "git_dir": str(self.forge.mirror(repository).directory) if repository else "",
            "user": asdict(user) if user else None,
            "home": str(self.home),
            "door_user": asdict(door_user) if (door_user := self._door_user) else None,
        }
        bind = bind_address(order.host) if order.host else order.bind
        order = replace(order, services_dir=str(self._services_dir), start_timeout_s=self.start_timeout_s)
        return replace(order, bind=bind, backend=backend)

    async def input(self, order: Order, repository: str) -> bytes:
        await self.forge.mirror(repository).fetch(order.commit)
        return _line(order)

    def _user(self, place: ProjectPlace) -> RunAs | None:
        """By the project's id: a name can be chosen, and chosen again."""
        return self.users.for_owner(f"service-{place.project_id}", place.data)

    async def public_address(self, handle: str, allocated: str) -> str:
        return allocated

    async def restore(self) -> list[str]:
        """Start what should run and does not; the names of what was started."""
        started: list[str] = []
        for link in sorted(self._services_dir.glob("*/current")):
            place = ProjectPlace(link.parent)
            try:
                started += await self._restored(place)
            except OrchestratorError as error:
                # Such as a port that a foreign program has taken: the other projects come back all the same.
                log.warning("a project could not be started again", project=place.slug, reason=error.message)
        return started

    async def _restored(self, place: ProjectPlace) -> list[str]:
        """What is current is read behind the lock: a deploy that outlived its Temporal worker may yet switch."""
        user, door = self._user(place), front_door(self.home, self._door_user)
        async with file_lock(place.lock):
            current = directory.current_release(place)
            if current is None or place.stopped.exists():
                return []
            directory.keep_private(place, user)
            processes = ReleaseProcesses(place=place, runs_dir=self.home / "runs", user=user, door=door)
            return await processes.restore(load_release(place, current))


@dataclass(frozen=True)
class OnServer:
    """Services are containers of the server's engine, which builds their image. A project has
    `/srv/<slug>/{releases,current,data}` there and a numeric user of its own. `home` is the state directory. The
    `keep_releases` newest releases of a project keep their images; 0: all.
    """

    home: Path
    forge: Forge
    servers: RegisteredServers
    start_timeout_s: float = 60.0
    keep_releases: int = 0
    _prepared: set[ServerAccess] = field(default_factory=set, init=False, repr=False, compare=False)

    async def call(self, handle: str) -> list[str]:
        access = await self.servers.access(handle)
        await self.prepare_at(access)
        return access.command((await asyncio.to_thread(release_kit)).command)

    async def prepare_at(self, access: ServerAccess) -> None:
        """Put the release program on a server that is seen for the first time; after that it is not checked again."""
        if access not in self._prepared:
            await ensure_prepared(self.home, access)
            self._prepared.add(access)

    async def prepare(self, handle: str) -> None:
        await ensure_prepared(self.home, await self.servers.access(handle))

    async def public_address(self, handle: str, allocated: str) -> str:
        return await self.servers.public_address(handle)

    async def completed(self, order: Order, repository: str = "") -> Order:
        kept = self.keep_releases
        kit = await asyncio.to_thread(release_kit)
        order = replace(order, services_dir=SERVICES, start_timeout_s=self.start_timeout_s)
        return replace(order, keep_releases=kept, backend={"door": kit.door})

    async def input(self, order: Order, repository: str) -> bytes:
        mirror = self.forge.mirror(repository)
        await mirror.fetch(order.commit)
        registry = await asyncio.to_thread(registry_files)
        return _line(order) + await build_context(mirror.directory, order.commit, registry)


def _line(order: Order) -> bytes:
    return json.dumps(asdict(order)).encode() + b"\n"
