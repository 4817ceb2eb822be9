"""The server in a container and what is special about services that run there as containers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from activities.adapters.containers import command as docker
from activities.adapters.playbooks import preparation
from activities.adapters.playbooks.preparation import ensure_prepared
from activities.adapters.playbooks.release_kit import release_kit
from activities.adapters.servers import container as server_container
from activities.adapters.servers import service_layers
from activities.adapters.servers.container import BASE_IMAGE
from activities.adapters.servers.remote_shell import run_on
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import ReleaseOutcome, ReleaseRequest, ServicePort
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.container_service import DOCKERFILE, ContainerProject, OneServer, no_engine
from tests.support.services.generated_project import generate
from tests.support.services.sample_service import Recorder

pytestmark = pytest.mark.timeout(400)  # a shared machine may be slow, and the first test makes the server

CAP_SYS_TIME = 25
VALUES = {
    "ADMIN_TOKEN": "generated-token-of-the-admin",
    "TELEGRAM_BOT_TOKEN": "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}


@pytest.fixture
async def project(tmp_path: Path, container_server: OneServer) -> AsyncIterator[ContainerProject]:
    obstacle = no_engine()
    if obstacle is not None:
        pytest.skip(obstacle)
    access = await container_server.prepare()
    sample = ContainerProject(
        tmp_path, any_free(), server_handle=container_server.handle, server_ip=access.host, server=container_server
    )
    yield sample
    await sample.clean_up()


async def deploy(project: ContainerProject, commit: str) -> tuple[ReleaseRequest, ReleaseOutcome]:
    request = await project.request(commit, timeout_s=300)
    return request, await project.target.release(request, project.environment(request), Recorder().follow)


async def answers(project: ContainerProject) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{project.url}/health", timeout=2)).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.mark.deep
async def test_a_server_cannot_move_the_clock_of_its_host(project: ContainerProject) -> None:
    effective = (await project.server.run("grep CapEff /proc/1/status")).split()[1]
    assert not int(effective, 16) >> CAP_SYS_TIME & 1


async def test_a_server_with_another_host_key_is_refused(project: ContainerProject, tmp_path: Path) -> None:
    access = await project.server.access(project.server.handle)
    impostor = tmp_path / "known_hosts"
    kind = "ssh-ed25519"
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII"
    impostor.write_text(f"{access.host} {kind} {key}\n")
    with pytest.raises(OrchestratorError, match="cannot be reached over SSH"):
        await run_on(replace(access, known_hosts_file=impostor), "true")
    assert access.key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.deep
async def test_a_service_has_no_rights_and_comes_back_with_its_server(project: ContainerProject) -> None:
    status = "open('/proc/self/status').read()"
    look_around = f"body['uid'] = os.getuid(); body['caps'] = {status}.split('CapEff:')[1].split()[0]"
    _, outcome = await deploy(project, project.commit("v1", answer=look_around))
    assert outcome.ok, outcome.error
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{project.url}/health")).json()
    assert answer["uid"] >= 20_000
    assert int(answer["caps"], 16) == 0
    before = await project.server.access(project.server.handle)
    await docker.run("restart", "--time", "10", project.server.servers.container(project.server.handle))
    assert await project.server.access(project.server.handle) == before

    async def is_back() -> bool:
        return await answers(project)

    _: bool = await eventually(is_back, timeout=60)


@pytest.mark.deep
async def test_a_server_that_lost_what_it_needs_gets_it_back(project: ContainerProject) -> None:
    """A server that was prepared once is prepared again when needed, by the same platform."""
    assert (await deploy(project, project.commit("v1")))[1].ok
    name = project.server.servers.container(project.server.handle)
    await docker.run("exec", name, "sh", "-c", "rm -rf /opt/orchestrator/*")
    await docker.run("exec", name, "docker", "rmi", "--force", BASE_IMAGE)
    await docker.run("stop", "--time", "10", name)
    request, again = await deploy(project, project.commit("v2"))
    assert again.ok, again.error
    assert await answers(project)
    await docker.run("exec", name, "docker", "image", "inspect", BASE_IMAGE)
    await docker.run("exec", name, "docker", "rmi", "--force", BASE_IMAGE)
    await docker.run("exec", name, "sh", "-c", "rm -rf /opt/orchestrator/* /home/orchestrator/.ssh/authorized_keys")
    probed = await project.target.probe(project.probe_request(request))
    assert probed.ok, probed.error
    await docker.run("exec", name, "docker", "image", "inspect", BASE_IMAGE)


@pytest.mark.deep
async def test_an_engine_that_is_killed_in_a_build_leaves_nothing_of_it(project: ContainerProject) -> None:
    """The container of a step has a random name, and its engine never comes back to it."""
    slow = DOCKERFILE + "RUN sleep 8\n"
    request = await project.request(project.commit("v1", Dockerfile=slow), timeout_s=300)
    foreign = await project.server.run("docker create debian:bookworm-slim true")

    def releasing() -> Coroutine[Any, Any, ReleaseOutcome]:
        return project.target.release(request, project.environment(request), Recorder().follow)

    async def steps() -> bool:
        return "sleep 8" in await project.server.run("docker ps --no-trunc --format '{{.Command}}'")

    first = asyncio.create_task(releasing())
    _: bool = await eventually(steps, timeout=120)
    await project.server.run("systemctl kill --signal KILL docker; systemctl restart docker")
    with contextlib.suppress(OrchestratorError):
        assert not (await first).ok
    assert (await releasing()).ok
    there = await project.server.run("docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.Command}}'")
    ours = [line for line in there.splitlines() if foreign not in line]
    await project.server.run(f"docker rm {foreign}")
    assert len(ours) == len(there.splitlines()) - 1
    assert not [line for line in ours if "sleep 8" in line], there


@pytest.mark.deep
async def test_a_server_whose_engine_cannot_be_prepared_has_the_base_image(
    project: ContainerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is prepared only saves time. The log says what is missing and why."""
    monkeypatch.setattr(server_container, "registry_files", lambda: {"unlike": uuid4().hex})
    monkeypatch.setattr(service_layers, "MODULES", (("no-such-module",),))
    another = OneServer(project.home / "another")
    try:
        with capture_logs() as logged:
            await another.access(another.handle)
        listed = await another.run("docker images --all --format '{{.Repository}}:{{.Tag}}'")
    finally:
        await another.remove()
    assert listed == BASE_IMAGE
    assert ["no-such-module" in line["reason"] for line in logged if line["log_level"] == "warning"] == [True], logged


async def test_servers_that_are_created_concurrently_have_different_addresses(project: ContainerProject) -> None:
    """Whoever starts second at an address of two does not start at all."""
    image = await server_container.ensure_image()
    names = [f"orchestrator-server-test-{uuid4().hex[:8]}" for _ in range(3)]
    try:
        await asyncio.gather(*(server_container._create_container(name, "test", image) for name in names))
        addresses = {await server_container._address(name) for name in names}
    finally:
        for name in names:
            await server_container._discard(name)
    assert len(addresses) == len(names)


async def test_a_server_that_is_being_removed_does_not_hold_up_another(project: ContainerProject) -> None:
    leaving, label, network = f"leaving-{uuid4().hex[:8]}", f"{server_container.LABEL}=test", server_container.NETWORK
    await docker.run("create", "--name", leaving, "--label", label, "--network", network, BASE_IMAGE, "true")
    try:
        assert await server_container._address(leaving) == ""
        await docker.run("network", "disconnect", network, leaving)
        assert await server_container._address(leaving) == ""
        assert project.server_ip not in await server_container._free_addresses()
    finally:
        await docker.run("rm", "--force", leaving)
    assert await server_container._address(leaving) == ""


async def test_a_broken_engine_of_the_server_is_not_taken_for_the_one_of_this_machine(
    project: ContainerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is a server that does not become ready; the second would be waited for, however long it takes."""
    monkeypatch.setattr(server_container, "_START_S", 1.0)
    name = project.server.servers.container(project.server.handle)
    await docker.run("exec", name, "systemctl", "stop", "docker.socket", "docker.service")
    try:
        with pytest.raises(OrchestratorError, match="is not ready") as caught:
            await project.server.access(project.server.handle)
    finally:
        await docker.run("exec", name, "systemctl", "start", "docker.socket", "docker.service")
    monkeypatch.undo()
    assert caught.value.code is ErrorCode.SERVER_UNREACHABLE
    await project.server.access(project.server.handle)


@pytest.mark.deep
async def test_a_deploy_takes_one_connection_and_a_probe_another(project: ContainerProject) -> None:
    count = "journalctl --sync; journalctl --unit ssh --output cat | grep --count '^Accepted publickey' || true"
    assert (await deploy(project, project.commit("v1")))[1].ok, "the server is prepared"
    target, commit = project.target, project.commit("v2")
    request = await project.request(commit, timeout_s=300)
    assert (await target.release(request, project.environment(request), Recorder().follow)).ok
    before = int(await project.server.run(count))
    assert (
        await target.release(
            request.model_copy(update={"task_id": "again"}), project.environment(request), Recorder().follow
        )
    ).ok
    assert int(await project.server.run(count)) - before == 2, "the deploy and this look"
    assert (await target.probe(project.probe_request(request))).ok
    assert int(await project.server.run(count)) - before == 4, "the probe and this look"
    await project.server.run(f"test -d {release_kit().path}/activities/adapters/__pycache__")


@pytest.mark.deep
async def test_a_service_that_ends_right_after_its_first_answers_does_not_go_live(project: ContainerProject) -> None:
    ends = "import threading; threading.Timer(0.15, lambda: os._exit(3)).start()"
    _, outcome = await deploy(project, project.commit("v1", prologue=ends))
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PROBE_FAILED)
    assert "exit code 3" in str(outcome.error)
    assert "starting v1" in str(outcome.error)
    assert await project.candidates() == []


@pytest.mark.deep
async def test_the_release_program_comes_with_ansible_and_only_when_it_is_not_there(
    project: ContainerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = await project.server.access(project.server.handle)
    other = replace(release_kit(), path="/opt/orchestrator/other")
    monkeypatch.setattr(preparation, "release_kit", lambda: other)
    await project.server.run("mkdir -p /opt/orchestrator/other.half")
    await asyncio.gather(*(ensure_prepared(project.home, access) for _ in range(2)))
    assert "program.py" in await project.server.run(f"ls {other.path}/activities/adapters/release")
    monkeypatch.setattr(preparation, "PLAYBOOK", Path("/nowhere/none.yml"))
    await ensure_prepared(project.home, access)
    await project.server.run(f"rm -rf {other.path}*")
    with pytest.raises(OrchestratorError, match="cannot be prepared") as caught:
        await ensure_prepared(project.home, access)
    assert caught.value.retryable
    assert project.processes() == []


@pytest.mark.deep
@pytest.mark.parametrize(
    "modules",
    [["backend", "tg_bot"], ["backend"], ["tg_bot"], ["backend", "web"], ["backend", "tg_bot", "web"]],
    ids="-".join,
)
async def test_the_image_of_the_template_is_built_and_serves(project: ContainerProject, modules: list[str]) -> None:
    tree = generate(project.home / "generated", modules)
    contract = tree / "env.contract.yaml"
    contract.write_text(contract.read_text().replace("https://api.telegram.org", "http://127.0.0.1:9"))
    (tree / "services" / "of_this_project.py").write_text("")
    given = await images(project)
    request = await project.request(project.commit_tree(tree), timeout_s=390)
    services = [name for name in modules if name != "web"]
    ports = [ServicePort(service=name, port=project.port if name == services[0] else any_free()) for name in services]
    request = request.model_copy(update={"allocation": request.allocation.model_copy(update={"ports": ports})})
    outcome = await project.target.release(request, project.environment(request, VALUES), Recorder().follow)
    assert outcome.ok, outcome.error
    probe = await project.target.probe(project.probe_request(request))
    assert (probe.ok, probe.url) == (True, project.url), probe.error
    await assert_image_is_clean(project, request)
    await assert_only_the_code_was_built(project, await images(project) - given)


async def images(project: ContainerProject) -> set[str]:
    """All of them, also the steps of builds."""
    return set((await project.server.run("docker images --all --quiet --no-trunc")).split())


async def assert_only_the_code_was_built(project: ContainerProject, made: set[str]) -> None:
    """Python and the packages were there before the first release: they came with the engine."""
    last = "docker history --no-trunc --format '{{.CreatedBy}}' $image | head -n 1"
    steps = await project.server.run(f"for image in {' '.join(made)}; do {last}; done")
    with_files = [step for step in steps.splitlines() if "#(nop)" not in step or "COPY" in step]
    assert [step.split()[-1] for step in with_files] == ["./services"], with_files


async def assert_image_is_clean(project: ContainerProject, request: ReleaseRequest) -> None:
    """Nothing of the build is in it: no certificates or index of this machine, no package manager's cache."""
    tag = f"svc-{project.slug}:{request.release_id}"
    look = "ls -A /build /var/lib/apt/lists; cd && ls -A .cache; find / -xdev -name pip.conf 2>&1"
    found = await project.server.run(f'docker run --rm --network none --user 0 --entrypoint sh {tag} -c "{look}"')
    assert ".registry" not in found
    assert "pip.conf" not in found
    assert "ca.crt" not in found
    labels = json.loads(await project.server.run(f"docker image inspect --format '{{{{json .Config.Labels}}}}' {tag}"))
    assert labels["orchestrator.commit"] == request.plan.commit
