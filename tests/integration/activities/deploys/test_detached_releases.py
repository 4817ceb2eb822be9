"""How a detached run of the release program is followed and bounded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.playbooks.target import ReleaseTarget
from activities.ports import Follow
from contracts.errors import ErrorCode
from contracts.ids import release_run_name
from contracts.steps import ReleaseRequest
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.sample_service import SECRET, Recorder, SampleProject


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free())
    yield sample
    await sample.stop_everything()
    assert sample.processes() == []


def files_of_runs(project: SampleProject) -> str:
    files = [file for file in (project.home / "orders").rglob("*") if file.is_file()]
    return "".join(file.read_text(errors="replace") for file in files)


async def test_the_heart_beats_while_a_release_has_nothing_to_tell(project: SampleProject) -> None:
    request = await project.request(project.commit("v1", prologue=project.held("candidate")))
    recorder = Recorder()
    releasing = asyncio.create_task(project.target.release(request, project.environment(request), recorder.follow))
    await eventually(lambda: "Start a candidate and check its health" in recorder.steps, timeout=30)
    told, beats = len(recorder.events), recorder.reports
    await eventually(lambda: recorder.reports >= beats + 3, message="beats")
    assert len(recorder.events) == told
    await project.let_go()
    assert (await releasing).ok


@pytest.mark.deep
async def test_a_release_that_has_to_wait_for_others_beats_its_heart_meanwhile(project: SampleProject) -> None:
    target, recorder = project.target, Recorder()
    assert isinstance(target, ReleaseTarget)
    slots = target._detached._slots
    while not slots.locked():
        await slots.acquire()
    request = await project.request(project.commit("v1"))
    releasing = asyncio.create_task(target.release(request, project.environment(request), recorder.follow))
    await eventually(lambda: recorder.reports >= 2, message="beats")
    assert project.processes() == []
    slots.release()
    assert (await releasing).ok
    assert not slots.locked()


async def released(project: SampleProject, request: ReleaseRequest, follow: Follow) -> int | None:
    """The process of the run that did it."""
    outcome = await project.target.release(request, project.environment(request), follow)
    assert outcome.ok, outcome.error
    return project.supervisor.status(release_run_name(request.release_id, request.task_id)).pid


async def test_a_finished_release_is_adopted_and_told_from_where_the_last_attempt_was(project: SampleProject) -> None:
    request = await project.request(project.commit("v1"))
    first, again, rest = Recorder(), Recorder(), Recorder()
    pid = await released(project, request, first.follow)
    assert pid is not None
    assert await released(project, request, again.follow) == pid
    keys = [event.key for event in first.events]
    assert [event.key for event in again.events] == keys
    third = int(keys[2].rpartition(":")[2])
    assert await released(project, request, Follow(third, rest.report)) == pid
    assert [event.key for event in rest.events] == keys[2:]
    assert rest.offset == first.offset > 0


async def test_a_release_that_takes_too_long_is_ended_and_told(project: SampleProject) -> None:
    request = await project.request(project.commit("v1", prologue=project.held("candidate")), timeout_s=1)
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PLAYBOOK_FAILED)
    assert "longer than 1 s" in str(outcome.error)
    await project.target.stop_release(request)
    assert project.service_runs() == []


async def test_a_package_that_cannot_be_installed_is_told(project: SampleProject) -> None:
    commit = project.commit("v1", requirements__txt="no-such-package-of-nobody @ file:///nowhere/at-all.whl\n")
    request = await project.request(commit)
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert outcome.error_code == ErrorCode.PLAYBOOK_FAILED
    assert "Install the packages" in str(outcome.error)
    assert project.service_runs() == []


@pytest.mark.deep
async def test_a_caller_that_is_cancelled_leaves_the_release_for_the_next(project: SampleProject) -> None:
    request = await project.request(project.commit("v1"))
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), Recorder().follow))
    await asyncio.wait({task}, timeout=0.05)
    task.cancel()
    await asyncio.wait({task})
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert outcome.ok, outcome.error


async def test_the_sweep_at_start_forgets_secrets_of_releases_that_ended_unseen(project: SampleProject) -> None:
    request = await project.request(project.commit("v1"))
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), Recorder().follow))
    runs = await eventually(lambda: list((project.home / "runs").glob("play-*")))
    task.cancel()
    await asyncio.wait({task})
    await project.supervisor.wait(runs[0].name)
    assert SECRET in files_of_runs(project)
    await project.target.restore_services()
    assert SECRET not in files_of_runs(project)
