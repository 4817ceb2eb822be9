"""How the servers in the database are reached, and where the release program of each is called."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from activities.adapters.containers.command import run_program
from activities.adapters.playbooks.by_server import HostsByServer, NamedServer
from activities.adapters.playbooks.hosts import OnServer, ThisMachine
from activities.adapters.playbooks.target import ReleaseTarget
from activities.adapters.release.order import Order
from activities.adapters.servers.container import LocalServers
from activities.adapters.servers.registered import RegisteredServers, host_keys
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import Follow
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeploymentDTO, ServerDTO
from contracts.states import DeployAction, ReleaseState, ServerKind, ServerStatus
from contracts.steps import OperationRequest
from runtime.artifacts import DirectoryArtifactStore

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII"


@dataclass
class KnownServers:
    """Knows one server by any handle."""

    facts: dict[str, Any] = field(default_factory=dict)

    async def server(self, handle: str) -> ServerDTO:
        facts = {
            "public_ip": "203.0.113.7", "ssh_user": "deploy", "status": ServerStatus.READY, "ram_mb": 0,
            "disk_mb": 0, "port_from": 1, "port_to": 2, "created_at": utc_now(),
        }  # fmt: skip
        return ServerDTO(**{"handle": handle, "host_key": KEY, **facts, **self.facts})


class ContainerServers(LocalServers):
    async def access(self, handle: str) -> ServerAccess:
        return ServerAccess(handle, "10.1.1.1", 22, "orchestrator", Path("key"), Path("known"))


def servers(tmp_path: Path, **facts: object) -> RegisteredServers:
    (tmp_path / "id").touch()
    return RegisteredServers(KnownServers(facts), ContainerServers(tmp_path), tmp_path / "id", tmp_path / "servers")


async def test_a_server_is_reached_as_its_row_says_and_known_by_its_host_key_only(tmp_path: Path) -> None:
    access = await servers(tmp_path, ssh_host="build.example.org", ssh_port=2222).access("far")
    assert (access.host, access.port, access.user) == ("build.example.org", 2222, "deploy")
    assert access.known_hosts_file.read_text() == f"[build.example.org]:2222 {KEY}\n"
    other = await servers(tmp_path, host_key=KEY.replace("AAAA", "BBBB")).access("far")
    assert other.host == "203.0.113.7"
    assert KEY not in other.known_hosts_file.read_text(), "a replaced key is not trusted any more"


async def test_a_server_in_a_container_is_made_and_asked_for_its_address(tmp_path: Path) -> None:
    assert (await servers(tmp_path, kind=ServerKind.CONTAINER).access("docker")).host == "10.1.1.1"


async def test_without_a_host_key_or_our_own_key_nothing_is_connected_to(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match="without its host key") as caught:
        await servers(tmp_path, host_key="").access("far")
    assert caught.value.code is ErrorCode.NOT_FOUND
    known = servers(tmp_path)
    known.key.unlink()
    with pytest.raises(OrchestratorError, match="without the file"):
        await known.access("far")


@pytest.mark.parametrize("words", ["-oProxyCommand=id", "{{ lookup('pipe', 'id') }}", "a b", "a\n", "a;id", "'a'", ""])
async def test_an_address_or_a_user_that_would_run_a_command_here_is_refused(tmp_path: Path, words: str) -> None:
    for facts in ({"ssh_user": words}, {"ssh_host": words, "public_ip": words}):
        with pytest.raises(OrchestratorError, match="invalid address or user name") as caught:
            await servers(tmp_path, **facts).access("far")
        assert caught.value.code is ErrorCode.INVALID_INPUT
    assert (await servers(tmp_path, ssh_host="2001:db8::7").access("far")).host == "2001:db8::7"


async def test_host_keys_are_found_under_hashed_names_and_ports(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"server {KEY}\n[server]:2222 {KEY.replace('AAAA', 'BBBB')}\n")
    assert (await run_program(["ssh-keygen", "-q", "-H", "-f", str(file)])).code == 0
    assert await host_keys(file, "server", 22) == KEY
    assert await host_keys(file, "server", 2222) == KEY.replace("AAAA", "BBBB")
    assert await host_keys(file, "elsewhere", 22) == ""
    assert await host_keys(tmp_path / "none", "server", 22) == ""


@dataclass
class Told:
    """A host whose program only says where it is."""

    name: str

    async def call(self, handle: str) -> list[str]:
        answer = {"answer": {"host": self.name, "ports": {"backend": 1}}}
        return ["sh", "-c", 'read order; echo "$0"', json.dumps(answer)]

    async def completed(self, order: Order, repository: str = "") -> Order:
        return order


@pytest.mark.parametrize("kind", list(ServerKind))
async def test_a_project_is_served_by_the_host_of_its_servers_kind(kind: ServerKind, tmp_path: Path) -> None:
    machine, over_ssh = cast(ThisMachine, Told("here")), cast(OnServer, Told("there"))
    hosts = HostsByServer(machine, over_ssh, KnownServers({"kind": kind}), cast(NamedServer, None))
    target = ReleaseTarget(tmp_path, DirectoryArtifactStore(tmp_path), hosts.of, hosts.restore)
    request = OperationRequest(project_id="p", project_name="blog", task_id="t", action=DeployAction.STOP)
    now = utc_now()
    release = DeploymentDTO(
        id="rel-1", project_id="p", task_id="t", commit="a" * 40, state=ReleaseState.ACTIVE, server_handle="far",
        number=1, created_at=now, updated_at=now,
    )  # fmt: skip

    async def report(events: object, offset: int) -> None: ...

    told = await target.operate(request, release, Follow(0, report))
    assert told.url == ("http://here:1" if kind is ServerKind.MACHINE else "http://there:1")
