"""Whatever is killed in the middle of a deploy: the next attempt ends in the same state."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from activities.adapters.release import directory
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import release_run_name
from contracts.steps import ReleaseRequest
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.sample_service import SECRET, Recorder, SampleProject

CALLER = """
import asyncio, json, sys
from pathlib import Path
from contracts.steps import ReleaseRequest
from tests.support.services.sample_service import Recorder, SampleProject

home, port, project_id, name = sys.argv[1:5]
project = SampleProject(Path(home), int(port), project_id, name)
request = ReleaseRequest.model_validate_json(sys.stdin.read())
asyncio.run(project.target.release(request, project.environment(request), Recorder().follow))
"""
ROOT = Path(__file__).resolve().parents[4]
deep = pytest.mark.deep


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free())
    yield sample
    await sample.stop_everything()
    assert sample.processes() == []


async def start_caller(project: SampleProject, request: ReleaseRequest) -> asyncio.subprocess.Process:
    """Another process that deploys, as a Temporal worker does."""
    caller = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CALLER, str(project.home), str(project.port), project.project_id, project.name,
        stdin=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert caller.stdin is not None
    caller.stdin.write(request.model_dump_json().encode())
    caller.stdin.close()
    return caller


async def release(project: SampleProject, request: ReleaseRequest) -> Recorder:
    recorder = Recorder()
    outcome = await project.target.release(request, project.environment(request), recorder.follow)
    assert outcome.ok, outcome.error
    return recorder


async def assert_serves_once(project: SampleProject, request: ReleaseRequest) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{project.url}/health", timeout=3)).json()
    assert answer["release"] == request.release_id
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{request.release_id}"]
    assert len([line for line in project.processes() if "backend.py" in line]) == 1
    assert not [line for line in project.processes() if "activities.adapters.release" in line]
    assert directory.current_release(project.place) == request.release_id
    assert [path.name for path in (project.place.root / "releases").iterdir()] == [request.release_id]
    assert not (project.place.root / "candidates").exists()
    left = [file for file in (project.home / "orders").rglob("*") if file.is_file()]
    assert not any(SECRET in file.read_text(errors="replace") for file in left)


def ident(request: ReleaseRequest) -> str:
    return release_run_name(request.release_id, request.task_id)


@deep
async def test_two_concurrent_callers_make_one_release(project: SampleProject) -> None:
    request = await project.request(project.commit("v1"))
    await asyncio.gather(release(project, request), release(project, request))
    await assert_serves_once(project, request)


@pytest.mark.parametrize("step", ["candidate", pytest.param("live", marks=deep)])
async def test_a_deploy_killed_with_its_supervisor_runs_again_to_the_same_end(
    project: SampleProject, step: str
) -> None:
    request = await project.request(project.commit("v1", prologue=project.held(step)))
    task = asyncio.ensure_future(release(project, request))
    wanted = "-cand-" if step == "candidate" else f"backend-{request.release_id}"
    await eventually(lambda: [name for name in project.service_runs() if wanted in name], timeout=30)
    pid = project.supervisor.status(ident(request)).pid
    assert pid is not None
    supervisor = psutil.Process(pid).parent()
    assert supervisor is not None
    for process in [supervisor, *supervisor.children(recursive=True)]:
        # one may end by itself between two of these looks
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if "activities.adapters.release" in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(OrchestratorError) as caught:
        await task
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.PLAYBOOK_LOST, True)
    await project.let_go()
    await release(project, request)
    await assert_serves_once(project, request)


@deep
async def test_an_orphaned_deploy_and_its_repetition_end_in_one_release(project: SampleProject) -> None:
    request = await project.request(project.commit("v1", prologue=project.held("candidate")))
    task = asyncio.ensure_future(release(project, request))
    await eventually(lambda: [name for name in project.service_runs() if "-cand-" in name], timeout=30)
    pid = project.supervisor.status(ident(request)).pid
    supervisor = psutil.Process(pid).parent()
    assert supervisor is not None
    supervisor.kill()
    with pytest.raises(OrchestratorError):
        await task
    await project.let_go()
    await release(project, request)
    await assert_serves_once(project, request)


@deep
async def test_a_service_survives_everybody_who_started_it(project: SampleProject) -> None:
    request = await project.request(project.commit("v1"))
    caller = await start_caller(project, request)
    assert await caller.wait() == 0
    await release(project, request)
    await assert_serves_once(project, request)
