"""Where releases go: to this machine or over SSH, by the kind of the server in the database."""

import asyncio
from dataclasses import dataclass, field

import structlog
from tenacity import (
    AsyncRetrying,
    retry,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_delay,
    stop_never,
    wait_fixed,
)

from activities.adapters.playbooks.hosts import OnServer, ProgramHost, ThisMachine
from activities.adapters.playbooks.target import LOCAL_SERVER, ReleaseTarget
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.servers.container import SSH_PORT, USER, LocalServers
from activities.adapters.servers.registered import RegisteredServers, host_keys
from activities.ports import ArtifactStore, DeployTarget, Forge, Servers
from contracts.errors import OrchestratorError
from contracts.nouns import NOT_YET, ServerCreate, ServerDTO
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
_HEAL_EVERY_S = 15.0
_OURS = {ServerStatus.READY, ServerStatus.IN_USE, ServerStatus.ERROR, ServerStatus.MAINTENANCE}


@dataclass(frozen=True)
class ContainerServer:
    """The server in a container of this machine. New projects go there while `in_containers` is set, and to this
    machine otherwise.

    A server that is not healthy is no reason to go elsewhere: this machine takes no new project meanwhile, their
    deploys wait, and the server is tried again and again. An engine that is restarting gets half a minute.
    """

    host: OnServer
    api: ApiClient
    local: LocalServers
    first_port: int
    in_containers: bool
    _healing: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False, compare=False)

    async def renew(self) -> None:
        takes_new = ServerStatus.MAINTENANCE if self.in_containers else ServerStatus.READY
        await self._set_status(LOCAL_SERVER, takes_new)
        if not self.in_containers:
            await self._set_status(CONTAINER_SERVER, ServerStatus.MAINTENANCE)
            return
        try:
            await self._register()
        except OrchestratorError as error:
            log.warning("deploys of new projects wait for their server", server=CONTAINER_SERVER, reason=error.message)
            await self._record_as_sick()
            healing = asyncio.create_task(self._heal())
            self._healing.add(healing)
            healing.add_done_callback(self._healing.discard)

    async def _heal(self) -> None:
        tries = AsyncRetrying(
            retry=retry_if_exception_type(OrchestratorError), wait=wait_fixed(_HEAL_EVERY_S), stop=stop_never
        )
        await tries(self._register)

    async def _record_as_sick(self) -> None:
        """Also a server that has never been reached has a row: without one, nobody would know that it is to come."""
        if not await self._set_status(CONTAINER_SERVER, ServerStatus.ERROR):
            await self.api.register_server(
                ServerCreate(
                    handle=CONTAINER_SERVER,
                    kind=ServerKind.CONTAINER,
                    public_ip=NOT_YET,
                    ssh_user=USER,
                    status=ServerStatus.ERROR,
                )
            )

    async def _set_status(self, handle: str, status: ServerStatus) -> bool:
        """Whether there is such a server. What a person has taken out of use stays as it is."""
        known = next((server for server in await self.api.servers() if server.handle == handle), None)
        if known is not None and known.status in _OURS:
            # This machine needs no SSH: its row has no port.
            facts = known.model_dump(include=set(ServerCreate.model_fields))
            facts |= {"status": status, "ssh_port": known.ssh_port or SSH_PORT}
            await self.api.register_server(ServerCreate(**facts))
        return known is not None

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


@dataclass(frozen=True)
class _Moved:
    """Writes the new address of a server into its row; the API corrects the addresses of what runs there."""

    api: ApiClient

    async def __call__(self, server: ServerDTO, address: str) -> None:
        facts = server.model_dump(include=set(ServerCreate.model_fields)) | {"public_ip": address}
        await self.api.register_server(ServerCreate(**facts))
        log.info("a server has another address", server=server.handle, before=server.public_ip, now=address)


def build_target(
    settings: Settings, artifacts: ArtifactStore, forge: Forge, api: ApiClient, *, in_containers: bool
) -> DeployTarget:
    """Makes no connection before its first use."""
    home, local = settings.home, LocalServers(settings.home)
    key, places = settings.server_keys_dir / "id_ed25519", home / "servers"
    addresses = RegisteredServers(api, local, key, places, moved=_Moved(api))
    over_ssh = OnServer(home, forge, addresses, keep_releases=settings.keep_releases)
    registration: ContainerServer | NamedServer
    if settings.server is None:
        registration = ContainerServer(over_ssh, api, local, settings.service_port_min, in_containers)
    else:
        registration = NamedServer(settings, settings.server, over_ssh, api)
    machine = ThisMachine(home, forge, UnprivilegedUsers(home))
    hosts = HostsByServer(machine, over_ssh, api, registration)
    return ReleaseTarget(home, artifacts, hosts.of, hosts.restore)
