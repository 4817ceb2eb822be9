"""Where releases go: to this machine or over SSH, by the kind of the server in the database."""

from dataclasses import dataclass

import structlog
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from activities.adapters.playbooks.hosts import OnServer, ProgramHost, ThisMachine
from activities.adapters.playbooks.target import ReleaseTarget
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.servers.container import SSH_PORT, USER, LocalServers
from activities.adapters.servers.registered import RegisteredServers, host_keys
from activities.ports import ArtifactStore, DeployTarget, Forge, Servers
from contracts.errors import OrchestratorError
from contracts.nouns import ServerCreate
from contracts.states import ServerKind, ServerStatus
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
_may_pass = retry_if_exception(lambda error: isinstance(error, OrchestratorError) and error.retryable)
_PATIENCE_S = 30.0


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
        known = [server for server in await self.api.servers() if server.handle == CONTAINER_SERVER]
        if self.in_containers:
            try:
                await self._register()
                return
            except OrchestratorError as error:
                log.warning("new projects are deployed as processes", reason=error.message)
        for server in known:
            facts = server.model_dump(exclude={"created_at"}) | {"status": ServerStatus.MAINTENANCE}
            await self.api.register_server(ServerCreate(**facts))

    @retry(retry=_may_pass, wait=wait_fixed(1), stop=stop_after_delay(_PATIENCE_S), reraise=True)
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


@dataclass(frozen=True)
class HostsByServer:
    """Where the release program of each server is, by the kind of the server."""

    machine: ThisMachine
    over_ssh: OnServer
    servers: Servers
    registration: ContainerServer | NamedServer

    async def of(self, handle: str) -> ProgramHost:
        kind = (await self.servers.server(handle)).kind
        return self.machine if kind is ServerKind.MACHINE else self.over_ssh

    async def restore(self) -> list[str]:
        """Start what should run, and update the row of the installation's own server.

        Only on this machine: the engine of a server starts again what ran, and the server comes back with its machine.
        """
        started = await self.machine.restore()
        await self.registration.renew()
        return started


def build_target(
    settings: Settings, artifacts: ArtifactStore, forge: Forge, api: ApiClient, *, in_containers: bool
) -> DeployTarget:
    """Makes no connection before its first use."""
    home, local = settings.home, LocalServers(settings.home)
    addresses = RegisteredServers(api, local, settings.server_keys_dir / "id_ed25519", home / "servers")
    over_ssh = OnServer(home, forge, addresses)
    registration: ContainerServer | NamedServer
    if settings.server is None:
        registration = ContainerServer(over_ssh, api, local, settings.service_port_min, in_containers)
    else:
        registration = NamedServer(settings, settings.server, over_ssh, api)
    machine = ThisMachine(home, forge, UnprivilegedUsers(home))
    hosts = HostsByServer(machine, over_ssh, api, registration)
    return ReleaseTarget(home, artifacts, hosts.of, hosts.restore)
