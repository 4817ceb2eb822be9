"""A server that does not answer is told as such in every window of a deploy, so that it is waited for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.containers.command import Reply
from activities.adapters.playbooks import by_server
from activities.adapters.playbooks.by_server import CONTAINER_SERVER, ContainerServer
from activities.adapters.playbooks.conversation import conversation
from activities.adapters.playbooks.detached import DetachedResult, _passing, reported
from activities.adapters.playbooks.hosts import OnServer
from activities.adapters.release.order import Order
from activities.adapters.runs.states import RunStatus
from activities.adapters.servers import container, remote_shell
from activities.adapters.servers.container import LocalServers
from activities.adapters.servers.registered import RegisteredServers
from activities.adapters.servers.remote_shell import ServerAccess, run_on
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ServerCreate, ServerDTO
from contracts.states import ServerKind, ServerStatus
from runtime.api_client import ApiClient
from tests.support.eventually import eventually

ORDER = Order(steps=["status"], project_id="p-1", project_name="blog", services_dir="/srv")
CUT = "ssh: connect to host 10.0.0.9 port 22: Connection refused"


def is_awaited(error: OrchestratorError) -> bool:
    return error.code is ErrorCode.SERVER_UNREACHABLE and error.retryable


@pytest.mark.parametrize(
    "program",
    [f"echo '{CUT}' >&2; exit 255", "read order; exit 255", 'read order; echo \'{"step": "x"}\'; exit 255'],
    ids=["before", "after the order", "in the middle"],
)
async def test_a_connection_that_breaks_in_a_conversation_is_an_outage(program: str) -> None:
    async with conversation(["sh", "-c", program]) as talk:
        with pytest.raises(OrchestratorError) as away:
            await talk.ask(ORDER)
    assert is_awaited(away.value)


async def test_a_program_that_ends_is_another_trouble() -> None:
    async with conversation(["sh", "-c", "exit 1"]) as talk:
        with pytest.raises(OrchestratorError) as ended:
            await talk.ask(ORDER)
    assert (ended.value.code, ended.value.retryable) == (ErrorCode.PROCESS_FAILED, True)


def test_a_connection_that_breaks_under_a_release_is_an_outage() -> None:
    ended = RunStatus("play-1", "exited", exit_code=255)
    trouble = _passing(ended, DetachedResult(255, False, None, CUT.encode()))
    assert trouble is not None
    assert is_awaited(trouble)
    assert "Connection refused" in trouble.message


def test_the_engine_of_a_server_is_no_part_of_this_machine() -> None:
    answer = {"failed": True, "step": "", "msg": "no engine", "code": "DOCKER_UNREACHABLE", "retryable": True}
    assert is_awaited(reported(answer))


ACCESS = ServerAccess("docker", "10.0.0.9", 22, "orchestrator", Path("key"), Path("known"))


async def test_a_command_over_ssh_that_finds_no_server_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut(argv: list[str], **_: object) -> Reply:
        return Reply(255, b"", CUT)

    monkeypatch.setattr(remote_shell, "run_program", cut)
    with pytest.raises(OrchestratorError) as away:
        await run_on(ACCESS, "true")
    assert is_awaited(away.value)


# A server in a container of this machine


@dataclass
class Engine:
    """`docker` as a server's container needs it: `stops_at` is the command that finds it stopped."""

    stops_at: str = ""
    reason: str = "container 1f is not running"
    address: str = "10.213.0.2"
    host_key: str = "ssh-ed25519 AAAA"
    said: list[str] = field(default_factory=list)

    async def try_run(self, *arguments: str, **_: object) -> Reply:
        line = " ".join(arguments)
        self.said.append(line)
        if self.stops_at and self.stops_at in line:
            return Reply(1, b"", f"Error response from daemon: {self.reason}")
        return Reply(0, self._answer(line).encode(), "")

    async def run(self, *arguments: str, **_: object) -> str:
        reply = await self.try_run(*arguments)
        if reply.code != 0:
            raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"docker {arguments[0]} failed: {reply.error}")
        return reply.text

    def _answer(self, line: str) -> str:
        if "ssh_host_ed25519_key" in line:
            return self.host_key
        if "StartedAt" in line:
            return "1f 2026-01-01"
        if "IPv4Address" in line:
            return self.address
        return "running"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(container.docker, "try_run", engine.try_run)
    monkeypatch.setattr(container.docker, "run", engine.run)
    monkeypatch.setattr(container, "_START_S", 0.0)
    return engine


@pytest.mark.parametrize(
    "window",
    ["start ", "docker info", "is-active", "authorized_keys", "ssh_host_ed25519_key"],
    ids=["start", "engine", "ssh", "login", "host key"],
)
async def test_a_server_that_stops_while_it_is_made_ready_is_waited_for(
    engine: Engine, tmp_path: Path, window: str
) -> None:
    servers = LocalServers(tmp_path)
    (tmp_path / "keys" / "ssh").mkdir(parents=True)
    engine.stops_at = window
    with pytest.raises(OrchestratorError) as away:
        await servers.access("docker")
    assert is_awaited(away.value), away.value.message
    engine.stops_at = ""
    assert (await servers.access("docker")).host == engine.address


async def test_a_server_whose_network_was_pruned_while_it_was_stopped_is_made_anew_with_its_volumes(
    engine: Engine, tmp_path: Path
) -> None:
    servers = LocalServers(tmp_path)
    (tmp_path / "keys" / "ssh").mkdir(parents=True)
    engine.stops_at, engine.reason = "start orchestrator-server", "network 0a1b2c not found"
    with pytest.raises(OrchestratorError) as away:
        await servers.access("docker")
    assert is_awaited(away.value)
    assert f"rm --force {servers.container('docker')}" in engine.said, "and no volume"


async def test_a_changed_address_or_host_key_is_learned_through_the_engine(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "keys" / "ssh").mkdir(parents=True)
    access = await LocalServers(tmp_path).access("docker")
    assert access.known_hosts_file.read_text() == "10.213.0.2 ssh-ed25519 AAAA\n"
    engine.address, engine.host_key = "10.213.0.7", "ssh-ed25519 BBBB"
    access = await LocalServers(tmp_path).access("docker")
    assert (access.host, access.known_hosts_file.read_text()) == ("10.213.0.7", "10.213.0.7 ssh-ed25519 BBBB\n")


# Where new projects go


@dataclass
class Rows:
    """The servers of the API."""

    rows: dict[str, ServerDTO] = field(default_factory=dict)

    async def servers(self) -> list[ServerDTO]:
        return list(self.rows.values())

    async def server(self, handle: str) -> ServerDTO:
        return self.rows[handle]

    async def register_server(self, server: ServerCreate) -> ServerDTO:
        row = ServerDTO(**server.model_dump(), created_at=utc_now())
        self.rows[server.handle] = row
        return row

    def statuses(self) -> dict[str, ServerStatus]:
        return {handle: row.status for handle, row in self.rows.items()}


@dataclass(frozen=True)
class Sick(LocalServers):
    """Does not become ready for some times."""

    failures: list[int] = field(default_factory=lambda: [10**6])

    async def access(self, handle: str) -> ServerAccess:
        self.failures[0] -= 1
        if self.failures[0] >= 0:
            raise OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, "not ready")
        return ACCESS


class Prepared(OnServer):
    async def prepare_at(self, access: ServerAccess) -> None:
        """It has the program."""


async def rows_with_this_machine() -> Rows:
    rows = Rows()
    local = ServerCreate(handle="local", kind=ServerKind.MACHINE, public_ip="127.0.0.1", status=ServerStatus.READY)
    await rows.register_server(local)
    return rows


def registration(rows: Rows, local: LocalServers, *, in_containers: bool = True) -> ContainerServer:
    host = Prepared(Path("home"), cast(Any, None), cast(RegisteredServers, None))
    return ContainerServer(host, cast(ApiClient, rows), local, 18_000, in_containers)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_server, "_HEAL_EVERY_S", 0.01)
    monkeypatch.setattr(ContainerServer._register.retry, "stop", lambda state: True)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("known", [True, False], ids=["a known server", "a server that was never reached"])
async def test_a_sick_server_leaves_no_other_place_for_new_projects(tmp_path: Path, known: bool) -> None:
    rows = await rows_with_this_machine()
    if known:
        docker = ServerCreate(handle=CONTAINER_SERVER, kind=ServerKind.CONTAINER, public_ip="10.0.0.9")
        await rows.register_server(docker.model_copy(update={"status": ServerStatus.IN_USE}))
    server = registration(rows, Sick(tmp_path))
    await server.renew()
    assert rows.statuses() == {"local": ServerStatus.MAINTENANCE, CONTAINER_SERVER: ServerStatus.ERROR}
    for healing in server._healing:
        healing.cancel()


@pytest.mark.usefixtures("soon")
async def test_a_sick_server_is_tried_until_it_takes_new_projects_again(tmp_path: Path) -> None:
    rows = await rows_with_this_machine()
    await registration(rows, Sick(tmp_path, failures=[3])).renew()
    await eventually(lambda: rows.statuses()[CONTAINER_SERVER] is ServerStatus.READY)
    assert rows.rows[CONTAINER_SERVER].public_ip == ACCESS.host
    assert rows.statuses()["local"] is ServerStatus.MAINTENANCE


async def test_whoever_chooses_processes_gets_this_machine_back(tmp_path: Path) -> None:
    rows = await rows_with_this_machine()
    rows.rows["local"] = rows.rows["local"].model_copy(update={"status": ServerStatus.MAINTENANCE})
    await registration(rows, Sick(tmp_path), in_containers=False).renew()
    assert rows.statuses() == {"local": ServerStatus.READY}


async def test_a_machine_that_a_person_has_reserved_stays_reserved(tmp_path: Path) -> None:
    rows = await rows_with_this_machine()
    rows.rows["local"] = rows.rows["local"].model_copy(update={"status": ServerStatus.RESERVED})
    await registration(rows, Sick(tmp_path), in_containers=False).renew()
    assert rows.statuses() == {"local": ServerStatus.RESERVED}


async def test_a_servers_new_address_is_written_into_its_row(tmp_path: Path) -> None:
    rows = Rows()
    docker = ServerCreate(handle="docker", kind=ServerKind.CONTAINER, public_ip="10.0.0.1", status=ServerStatus.READY)
    await rows.register_server(docker)
    well = Sick(tmp_path, failures=[0])
    servers = RegisteredServers(rows, well, tmp_path / "id", tmp_path, moved=by_server._Moved(cast(ApiClient, rows)))
    assert await servers.public_address("docker") == "10.0.0.9"
    assert rows.rows["docker"].public_ip == "10.0.0.9"
