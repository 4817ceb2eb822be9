"""Each provider with one machine of its own, for tests that hold for all of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from activities.adapters.providers.local import LocalMachines
from activities.adapters.providers.static import StaticMachines
from activities.adapters.providers.time4vps import Time4VpsMachines
from activities.adapters.providers.time4vps_api import Time4VpsApi, Time4VpsLogin
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import ServerProvider
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ServerDTO
from contracts.servers.providers import MachineRef
from contracts.states import ProviderActionKind, ProviderKind, ServerStatus
from emulators.time4vps.account import Account, Machine
from emulators.time4vps.faults import Faults
from emulators.time4vps.server import serving

RENTED = MachineRef(provider=ProviderKind.TIME4VPS, server_handle="vps-1001", machine_id="1001")


@dataclass
class World:
    """`effects` says how often the machine was installed anew, or removed, in truth."""

    provider: ServerProvider
    ref: MachineRef
    can: list[ProviderActionKind]
    effects: Callable[[], int]


@dataclass
class Clock:
    """A minute later at each look, so that no two tasks begin at one time."""

    at: datetime = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@dataclass
class Rented:
    """An emulated account, and the platform's view of it."""

    account: Account
    faults: Faults
    provider: Time4VpsMachines
    ref: MachineRef = RENTED

    @property
    def machine(self) -> Machine:
        return self.account.machines[1001]


@asynccontextmanager
async def rented(password: str = Account.password) -> AsyncIterator[Rented]:
    account, faults = Account(now=Clock()), Faults()
    account.add(1001)
    account.add(1002, ip="203.0.113.11")

    async def login() -> Time4VpsLogin:
        return Time4VpsLogin(account.username, SecretStr(password))

    async with serving(account, faults) as url:
        yield Rented(account, faults, Time4VpsMachines(Time4VpsApi(url, login)))


@dataclass
class NotedContainers:
    """Containers that are only noted, and which of them were removed; `breaks`: the next start fails."""

    there: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)
    breaks: bool = False

    async def access(self, handle: str) -> ServerAccess:
        if self.breaks:
            self.breaks = False
            raise OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, "killed")
        self.there.add(handle)
        return ServerAccess(handle, "10.1.1.1", 22, "orchestrator", Path("key"), Path("known"))

    async def remove(self, handle: str) -> None:
        self.removed.append(handle)
        self.there.discard(handle)

    async def handles(self) -> list[str]:
        return sorted(self.there)


class OneServer:
    async def server(self, handle: str) -> ServerDTO:
        if handle != "own-1":
            raise OrchestratorError(ErrorCode.NOT_FOUND, "There is no such server.")
        return ServerDTO(
            handle=handle, public_ip="203.0.113.7", ssh_user="root", status=ServerStatus.READY, ram_mb=1, disk_mb=2,
            port_from=1, port_to=2, created_at=utc_now(),
        )  # fmt: skip


@asynccontextmanager
async def world(kind: ProviderKind, place: Path) -> AsyncIterator[World]:
    if kind is ProviderKind.STATIC:
        yield World(StaticMachines(OneServer()), MachineRef(provider=kind, server_handle="own-1"), [], lambda: 0)
    elif kind is ProviderKind.TIME4VPS:
        async with rented() as one:
            can = [ProviderActionKind.REINSTALL, ProviderActionKind.RESET_PASSWORD]
            yield World(one.provider, one.ref, can, lambda: len(one.machine.passwords))
    else:
        containers = NotedContainers({"box-1"})
        ref = MachineRef(provider=kind, server_handle="box-1")
        can = [ProviderActionKind.REINSTALL, ProviderActionKind.DESTROY]
        yield World(LocalMachines(containers, place), ref, can, lambda: len(containers.removed))
