"""Where releases go: processes of this machine, or a server in a container of it, by the server of the allocation."""

from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from activities.adapters.playbooks.container_target import AnsibleContainerTarget
from activities.adapters.playbooks.process_target import AnsibleProcessTarget
from activities.adapters.servers.container import LocalServers
from activities.adapters.servers.known_server import KnownServer
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import ArtifactStore, DeployTarget, Follow, Forge
from contracts.errors import OrchestratorError
from contracts.nouns import DeploymentDTO, ServerCreate
from contracts.states import ServerStatus
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
KNOWN_SERVER = "server"
"""Handle of the server that the settings name."""
_PORTS = 10_000
"""The server in a container has all its ports to itself. The widest range is given out first, so it comes before
`local` for new projects; a project stays where it lives."""
_LAST_PORT = 65_535
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class TargetByServer:
    """Implements `DeployTarget`: what lives on the server in a container goes there, everything else to processes."""

    processes: DeployTarget
    containers: DeployTarget
    servers: LocalServers
    api: ApiClient
    first_port: int
    in_containers: bool

    async def release(
        self, request: ReleaseRequest, environment: dict[str, dict[str, str]], follow: Follow
    ) -> ReleaseOutcome:
        return await self._of(request.allocation.server_handle).release(request, environment, follow)

    async def stop_release(self, request: ReleaseRequest) -> None:
        await self._of(request.allocation.server_handle).stop_release(request)

    async def revert(self, verdict: ReleaseVerdict, previous: DeploymentDTO | None) -> ReleaseOutcome:
        handle = verdict.allocation.server_handle if verdict.allocation else _server_of(previous)
        return await self._of(handle).revert(verdict, previous)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return await self._of(request.allocation.server_handle).probe(request)

    async def operate(
        self, request: OperationRequest, release: DeploymentDTO | None, follow: Follow
    ) -> OperationResult:
        return await self._of(_server_of(release)).operate(request, release, follow)

    async def restore_services(self) -> list[str]:
        """Start what should run, and tell the API whether new projects may go to the server in a container.

        A server that does not get well costs nothing but itself: new projects go to processes then. An engine that
        is starting again gets half a minute.
        """
        started = await self.processes.restore_services()
        if not self.in_containers:
            await self._close()
            return started
        try:
            access = await self._access()
        except OrchestratorError as error:
            log.warning("new projects are deployed as processes", reason=error.message)
            await self._close()
            return started
        await self.api.register_server(self._server(access.host, ServerStatus.READY))
        log.info("new projects are deployed as containers", server=CONTAINER_SERVER, address=access.host)
        return started + await self.containers.restore_services()

    async def _access(self) -> ServerAccess:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass), wait=wait_fixed(1), stop=stop_after_delay(_PATIENCE_S), reraise=True
        )
        return await retrying(self.servers.access, CONTAINER_SERVER)

    async def _close(self) -> None:
        known = [server for server in await self.api.servers() if server.handle == CONTAINER_SERVER]
        for server in known:
            await self.api.register_server(self._server(server.public_ip, ServerStatus.MAINTENANCE))

    def _server(self, address: str, status: ServerStatus) -> ServerCreate:
        return ServerCreate(
            handle=CONTAINER_SERVER,
            public_ip=address,
            ssh_user="orchestrator",
            status=status,
            port_from=self.first_port,
            port_to=min(self.first_port + _PORTS, _LAST_PORT),
        )

    def _of(self, handle: str | None) -> DeployTarget:
        return self.containers if handle == CONTAINER_SERVER else self.processes


class TargetOnKnownServer(AnsibleContainerTarget):
    """Every project goes to the server that the settings name; nothing is deployed to this machine."""

    def __init__(
        self, settings: Settings, artifacts: ArtifactStore, forge: Forge, server: KnownServer, api: ApiClient
    ) -> None:
        super().__init__(settings.home, artifacts, forge, server)
        self._settings = settings
        self._server = server
        self._api = api

    async def restore_services(self) -> list[str]:
        """Tell the API about the server. One that does not answer now is waited for by the deploys themselves."""
        settings = self._settings
        await self._api.register_server(
            ServerCreate(
                handle=KNOWN_SERVER,
                public_ip=settings.public_host,
                ssh_user=self._server.address.partition("@")[0],
                status=ServerStatus.READY,
                port_from=settings.service_port_min,
                port_to=settings.service_port_max,
            )
        )
        try:
            await self._server.check(KNOWN_SERVER)
        except OrchestratorError as error:
            log.warning("the server cannot be deployed to yet", reason=error.message)
        return await super().restore_services()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError) and error.retryable


def _server_of(release: DeploymentDTO | None) -> str | None:
    return release.server_handle if release else None


def build_target(
    settings: Settings, artifacts: ArtifactStore, forge: Forge, api: ApiClient, *, in_containers: bool
) -> DeployTarget:
    """Makes no connection before its first use."""
    if settings.server is not None:
        known = KnownServer(settings.server, settings.server_keys_dir)
        return TargetOnKnownServer(settings, artifacts, forge, known, api)
    servers = LocalServers(settings.home)
    return TargetByServer(
        AnsibleProcessTarget(settings.home, artifacts, forge),
        AnsibleContainerTarget(settings.home, artifacts, forge, servers),
        servers,
        api,
        settings.service_port_min,
        in_containers,
    )
