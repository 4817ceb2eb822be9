"""Where releases go: to this machine or over SSH, by the kind of the server in the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from activities.adapters.playbooks.hosts import OnServer, ServerAddresses, ThisMachine
from activities.adapters.playbooks.preparation import ServerPreparation
from activities.adapters.playbooks.target import ReleaseTarget, server_of
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.unprivileged import UnprivilegedUsers
from activities.adapters.servers.container import SSH_PORT, USER, LocalServers
from activities.adapters.servers.registered import RegisteredServers, host_keys
from activities.ports import ArtifactStore, DeployTarget, Follow, Forge, Servers
from contracts.errors import OrchestratorError
from contracts.nouns import DeploymentDTO, ServerCreate, ServerDTO
from contracts.states import ServerKind, ServerStatus
from contracts.steps import (
    OperationRequest,
    OperationResult,
    ProbeRequest,
    ProbeResult,
    ReleaseOutcome,
    ReleaseRequest,
    ReleaseVerdict,
)
from runtime.api_client import ApiClient
from runtime.settings import Settings

log = structlog.get_logger(__name__)

CONTAINER_SERVER = "docker"
"""Handle of the server in a container; processes of this machine are on the server `local`."""
NAMED_SERVER = "server"
"""Handle of the server that the settings name."""
_PORTS = 10_000
"""The server in a container has all its ports to itself. The widest range is given out first, so it comes before
`local` for new projects; a project stays where it lives."""
_LAST_PORT = 65_535
_PATIENCE_S = 30.0


class Registration(Protocol):
    """Keeps the row of this installation's own server up to date."""

    async def renew(self) -> None: ...


@dataclass(frozen=True)
class TargetByServer:
    """Implements `DeployTarget`: each server has the target of its kind."""

    targets: Mapping[ServerKind, DeployTarget]
    servers: Servers
    registration: Registration

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        return await (await self._of(request.allocation.server_handle)).release(request, environment, follow)

    async def stop_release(self, request: ReleaseRequest) -> None:
        await (await self._of(request.allocation.server_handle)).stop_release(request)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        handle = verdict.allocation.server_handle if verdict.allocation else server_of(previous)
        return await (await self._of(handle)).revert(verdict, previous)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return await (await self._of(request.allocation.server_handle)).probe(request)

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        return await (await self._of(server_of(release))).operate(request, release, follow)

    async def restore_services(self) -> list[str]:
        """Start what should run, and update the row of the installation's own server."""
        started = [name for target in set(self.targets.values()) for name in await target.restore_services()]
        await self.registration.renew()
        return started

    async def _of(self, handle: str) -> DeployTarget:
        return self.targets[(await self.servers.server(handle)).kind]


@dataclass(frozen=True)
class ContainerServer:
    """The server in a container of this machine. New projects go there while `in_containers` is set and it is healthy.

    If it does not become healthy, new projects run as processes instead; nothing else changes. An engine that is
    restarting gets half a minute.
    """

    host: OnServer
    api: ApiClient
    local: LocalServers
    first_port: int
    in_containers: bool

    async def renew(self) -> None:
        known = next((server for server in await self.api.servers() if server.handle == CONTAINER_SERVER), None)
        if not self.in_containers:
            await self._close(known)
            return
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass), wait=wait_fixed(1), stop=stop_after_delay(_PATIENCE_S), reraise=True
        )
        try:
            await retrying(self._register)
        except OrchestratorError as error:
            log.warning("new projects are deployed as processes", reason=error.message)
            await self._close(known)

    async def _register(self) -> None:
        access = await self.local.access(CONTAINER_SERVER)
        keys = await host_keys(access.known_hosts_file, access.host, SSH_PORT)
        await self.host.prepare_at(access)
        await self.api.register_server(
            ServerCreate(
                handle=CONTAINER_SERVER,
                kind=ServerKind.CONTAINER,
                public_ip=access.host,
                ssh_port=SSH_PORT,
                ssh_user=USER,
                host_key=keys,
                status=ServerStatus.READY,
                port_from=self.first_port,
                port_to=min(self.first_port + _PORTS, _LAST_PORT),
            )
        )
        log.info("new projects are deployed as containers", server=CONTAINER_SERVER, address=access.host)

    async def _close(self, known: ServerDTO | None) -> None:
        if known is not None:
            closed = ServerCreate(**known.model_dump(exclude={"created_at"}))
            await self.api.register_server(closed.model_copy(update={"status": ServerStatus.MAINTENANCE}))


@dataclass(frozen=True)
class NamedServer:
    """The server that `ORCHESTRATOR_SERVER` names: every new project goes there. If it does not answer now, the deploys
    themselves wait for it."""

    settings: Settings
    address: str
    host: OnServer
    api: ApiClient

    async def renew(self) -> None:
        user, _, place = self.address.partition("@")
        name, _, port = place.partition(":")
        ssh_port = int(port or SSH_PORT)
        keys = await host_keys(self.settings.server_keys_dir / "known_hosts", name, ssh_port)
        try:
            server = ServerCreate(
                handle=NAMED_SERVER, public_ip=self.settings.public_host, ssh_host=name, ssh_port=ssh_port,
                ssh_user=user, host_key=keys, status=ServerStatus.READY,
                port_from=self.settings.service_port_min, port_to=self.settings.service_port_max,
            )  # fmt: skip
            await self.api.register_server(server)
            await self.host.call(NAMED_SERVER)
        except OrchestratorError as error:
            log.warning("the server cannot be deployed to yet", reason=error.message)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError) and error.retryable


def this_machine(home: Path, forge: Forge, users: UnprivilegedUsers | None = None) -> ThisMachine:
    return ThisMachine(home, forge, users or UnprivilegedUsers([home]))


def on_server(home: Path, forge: Forge, servers: ServerAddresses) -> OnServer:
    return OnServer(forge, servers, ServerPreparation(home, Supervisor(home / "runs")))


def build_target(
    settings: Settings, artifacts: ArtifactStore, forge: Forge, api: ApiClient, *, in_containers: bool
) -> DeployTarget:
    """Makes no connection before its first use."""
    home, local = settings.home, LocalServers(settings.home)
    key = settings.server_keys_dir / "id_ed25519"
    host = on_server(home, forge, RegisteredServers(api, local, key, home / "servers"))
    over_ssh = ReleaseTarget(home, artifacts, host)
    registration: Registration = ContainerServer(host, api, local, settings.service_port_min, in_containers)
    if settings.server is not None:
        registration = NamedServer(settings, settings.server, host, api)
    targets = {
        ServerKind.MACHINE: ReleaseTarget(home, artifacts, this_machine(home, forge), start_timeout_s=30.0),
        ServerKind.CONTAINER: over_ssh,
        ServerKind.SSH: over_ssh,
    }
    return TargetByServer(targets, api, registration)
