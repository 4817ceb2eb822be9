"""Releases on the local target: real ansible, real processes, seen from outside over HTTP."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from activities.adapters import release_directory as directory
from activities.adapters.unprivileged import UnprivilegedUsers
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import DeploymentDTO
from contracts.states import DeployAction, ReleaseState
from contracts.steps import OperationRequest, ReleaseOutcome, ReleaseRequest, ReleaseVerdict
from tests.support.eventually import eventually
from tests.support.sample_service import MANIFEST, SECRET, Recorder, SampleProject, foreign_listener, free_port

SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, free_port())
    yield sample
    await sample.stop_everything()
    assert sample.processes() == []


async def deploy(
    project: SampleProject, commit: str, previous: str | None = None, release_id: str = ""
) -> tuple[ReleaseRequest, ReleaseOutcome, Recorder]:
    request = await project.request(commit, previous=previous, release_id=release_id)
    recorder = Recorder()
    outcome = await project.target.release(request, project.environment(request), recorder.follow)
    return request, outcome, recorder


async def health(project: SampleProject) -> dict[str, object]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer: dict[str, object] = (await client.get(f"{project.url}/health", timeout=3)).json()
        return answer


def recorded(project: SampleProject, request: ReleaseRequest) -> DeploymentDTO:
    return DeploymentDTO(
        id=request.release_id,
        project_id=project.project_id,
        task_id=request.task_id,
        commit=request.plan.commit,
        state=ReleaseState.ACTIVE,
        number=1,
        created_at=utc_now(),
        updated_at=utc_now(),
    )


def verdict(project: SampleProject, request: ReleaseRequest) -> ReleaseVerdict:
    return ReleaseVerdict(
        project_id=project.project_id,
        project_name=project.name,
        task_id=request.task_id,
        release_id=request.release_id,
        allocation=request.allocation,
    )


def operation(project: SampleProject, action: DeployAction) -> OperationRequest:
    return OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-operate", action=action
    )


def texts_under(*directories: Path) -> str:
    files = [file for directory in directories for file in directory.rglob("*") if file.is_file()]
    return "".join(file.read_text(errors="replace") for file in files)


async def test_a_release_answers_at_its_public_address_and_the_steps_are_told(project: SampleProject) -> None:
    commit = project.commit("v1")
    request, outcome, recorder = await deploy(project, commit)
    assert outcome.ok, outcome.error
    assert outcome.switched
    answer = await health(project)
    assert (answer["version"], answer["commit"], answer["release"]) == ("v1", commit, request.release_id)
    assert answer["phase"] == "live"
    assert recorder.steps == [
        "Check out the commit",
        "Install the packages",
        "Write the environment",
        "Start a candidate and look at its health",
        "Switch to the new release",
    ]
    assert len({event.key for event in recorder.events}) == len(recorder.events)
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{request.release_id}"]
    assert directory.current_release(project.place) == request.release_id
    probe = await project.target.probe(project.probe_request(request))
    assert probe.ok, probe.error
    assert probe.url == project.url


async def test_a_candidate_does_not_touch_live_data_and_data_survives_releases(project: SampleProject) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    second, _, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    assert (project.place.data / "started").read_text().split() == [first.release_id, second.release_id]
    assert not (project.place.root / "candidates").exists()


async def test_a_second_release_replaces_the_first(project: SampleProject) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    second, outcome, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    assert outcome.ok, outcome.error
    assert (await health(project))["version"] == "v2"
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{second.release_id}"]
    assert {path.name for path in (project.place.root / "releases").iterdir()} == {first.release_id, second.release_id}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"prologue": "sys.exit('no database: ' + os.environ['API_TOKEN'])"}, "ended with exit code 1"),
        ({"answer": "status = 500"}, "answered 500"),
        ({"answer": "status = 404"}, "answered 404"),
        ({"answer": "body['status'] = 'bad'"}, "answered without"),
        ({"answer": "body['release'] = 'rel-other'"}, "another release answered"),
        ({"prologue": "import threading; threading.Timer(0.15, lambda: os._exit(3)).start()"}, "exit code 3"),
    ],
    ids=["dies", "500", "404", "wrong-body", "wrong-release", "dies-after-start"],
)
async def test_a_broken_release_leaves_the_previous_one_serving(
    project: SampleProject, broken: dict[str, str], told: str
) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    pid = project.supervisor.status(project.service_runs()[0]).pid
    second, outcome, recorder = await deploy(project, project.commit("v2", **broken), previous=first.release_id)
    assert (outcome.ok, outcome.switched, outcome.error_code) == (False, False, ErrorCode.PROBE_FAILED)
    assert told in str(outcome.error)
    assert SECRET not in str(outcome.error) + json.dumps([event.model_dump(mode="json") for event in recorder.events])
    assert outcome.log is not None
    assert (await health(project))["version"] == "v1"
    assert project.supervisor.status(project.service_runs()[0]).pid == pid, "the old process was never touched"
    reverted = await project.target.revert(verdict(project, second), recorded(project, first))
    assert reverted.ok, reverted.error
    assert [path.name for path in (project.place.root / "releases").iterdir()] == [first.release_id]
    assert project.supervisor.status(project.service_runs()[0]).pid == pid


async def test_a_broken_service_shows_the_end_of_its_log(project: SampleProject) -> None:
    _, outcome, _ = await deploy(project, project.commit("v1", prologue="sys.exit('the database is missing')"))
    assert "the database is missing" in str(outcome.error)
    assert project.service_runs() == []


async def test_a_rollback_returns_to_the_exact_earlier_commit(project: SampleProject) -> None:
    commit = project.commit("v1")
    first, _, _ = await deploy(project, commit)
    second, _, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    before = (project.place.release(first.release_id) / "app" / "backend.py").stat().st_ino
    _, outcome, _ = await deploy(project, commit, previous=second.release_id, release_id=first.release_id)
    assert outcome.ok, outcome.error
    answer = await health(project)
    assert (answer["version"], answer["commit"], answer["release"]) == ("v1", commit, first.release_id)
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{first.release_id}"]
    assert (project.place.release(first.release_id) / "app" / "backend.py").stat().st_ino == before, "built again"


async def test_reverting_a_switched_release_brings_the_previous_one_back(project: SampleProject) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    second, _, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    for _ in range(2):
        outcome = await project.target.revert(verdict(project, second), recorded(project, first))
        assert outcome.ok, outcome.error
        assert (await health(project))["version"] == "v1"
        assert project.service_runs() == [f"svc-{project.place.slug}-backend-{first.release_id}"]
        assert directory.current_release(project.place) == first.release_id


async def test_reverting_a_first_release_leaves_nothing_running(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    assert (await project.target.revert(verdict(project, request), None)).ok
    assert project.service_runs() == []
    assert directory.current_release(project.place) is None


async def test_a_foreign_program_on_the_port_is_named_and_left_alone(project: SampleProject) -> None:
    with foreign_listener(project.port):
        _, outcome, _ = await deploy(project, project.commit("v1"))
    assert outcome.error_code == ErrorCode.PLAYBOOK_FAILED
    assert f"Port {project.port} of backend is taken" in str(outcome.error)
    assert project.service_runs() == []


async def test_nothing_secret_is_in_arguments_events_logs_or_what_the_run_leaves(project: SampleProject) -> None:
    commit = project.commit("v1", prologue="import time; time.sleep(1)")
    request = await project.request(commit)
    recorder = Recorder()
    seen: list[str] = []
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), recorder.follow))
    while not task.done():
        seen += project.processes()
        await asyncio.wait({task}, timeout=0.1)
    outcome = task.result()
    assert outcome.ok, outcome.error
    assert seen, "no process was seen"
    assert SECRET not in "".join(seen)
    assert SECRET not in json.dumps([event.model_dump(mode="json") for event in recorder.events])
    left = texts_under(project.home / "playbooks", project.home / "runs", project.home / "artifacts")
    assert "Check out the commit" in left
    assert SECRET not in left
    files = [file for file in project.home.rglob("*") if file.is_file() and SECRET in file.read_text(errors="replace")]
    assert [file.name for file in files] == ["backend.env"]
    assert files[0].stat().st_mode & 0o777 == 0o600


async def test_cancelling_a_release_leaves_nothing_of_it(project: SampleProject) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    request = await project.request(
        project.commit("v2", prologue="import time; time.sleep(60)"), previous=first.release_id
    )
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), Recorder().follow))
    await eventually(lambda: [name for name in project.service_runs() if "-cand-" in name], timeout=30)
    began = time.monotonic()
    task.cancel()
    await project.target.stop_release(request)
    assert time.monotonic() - began < 10
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{first.release_id}"]
    assert [path.name for path in (project.place.root / "releases").iterdir()] == [first.release_id]
    assert not any("ansible" in line for line in project.processes())
    assert SECRET not in texts_under(project.home / "playbooks")
    assert (await health(project))["version"] == "v1"


async def test_cancelling_in_the_middle_of_the_switch_brings_the_previous_release_back(project: SampleProject) -> None:
    first, _, _ = await deploy(project, project.commit("v1"))
    slow = project.commit("v2", prologue="import time; time.sleep(1)")
    request = await project.request(slow, previous=first.release_id)
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), Recorder().follow))
    new = f"svc-{project.place.slug}-backend-{request.release_id}"
    await eventually(lambda: new in project.service_runs(), timeout=30)
    began = time.monotonic()
    task.cancel()
    await project.target.stop_release(request)
    assert time.monotonic() - began < 10
    assert (await health(project))["version"] == "v1"
    assert project.service_runs() == [f"svc-{project.place.slug}-backend-{first.release_id}"]
    assert directory.current_release(project.place) == first.release_id
    assert [path.name for path in (project.place.root / "releases").iterdir()] == [first.release_id]
    assert not any("ansible" in line for line in project.processes())


async def test_two_projects_of_one_name_have_their_own_places(tmp_path: Path) -> None:
    first = directory.claim_place(tmp_path, "p-1", "blog")
    second = directory.claim_place(tmp_path, "p-2", "blog")
    assert first.root != second.root
    assert directory.claim_place(tmp_path, "p-1", "blog") == first
    assert directory.claim_place(tmp_path, "p-2", "blog") == second


async def test_a_project_can_be_stopped_restarted_and_removed(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    target, release = project.target, recorded(project, request)
    assert (await target.operate(operation(project, DeployAction.STOP), release, Recorder().follow)).ok
    assert project.service_runs() == []
    assert await target.restore_services() == [], "stopped stays stopped"
    result = await target.operate(operation(project, DeployAction.RESTART), release, Recorder().follow)
    assert (result.ok, result.url) == (True, project.url)
    assert (await health(project))["release"] == request.release_id
    for _ in range(2):
        assert (await target.operate(operation(project, DeployAction.REMOVE), release, Recorder().follow)).ok
        assert project.service_runs() == []
        assert not project.place.root.exists()
    kept = list((project.home / "services" / ".removed").iterdir())
    assert [path.name for path in kept[0].iterdir()] == ["started"]


async def test_services_are_started_again_after_they_were_all_lost(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    name = project.service_runs()[0]
    await project.stop_everything()
    assert await project.target.restore_services() == [name]
    assert await project.target.restore_services() == []
    await eventually(partial(answers, project), timeout=10)
    assert (await health(project))["release"] == request.release_id


def answers(project: SampleProject) -> bool:
    try:
        return httpx.get(f"{project.url}/health", timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path(SYSTEM_PYTHON).exists(), reason="needs root and a Python that everybody may run"
)
async def test_services_run_as_a_user_of_their_own_that_cannot_read_the_platforms_files() -> None:
    with TemporaryDirectory() as directory_name:
        home = Path(directory_name)
        home.chmod(0o711)
        key = home / "vault.key"
        key.touch(mode=0o600)
        project = SampleProject(home, free_port(), users=UnprivilegedUsers([home], Path(SYSTEM_PYTHON)))
        look_around = f"body['uid'] = os.getuid(); body['key'] = os.access({str(key)!r}, os.R_OK)"
        commit = project.commit("v1", answer=look_around, service__yaml=MANIFEST.replace("{python}", SYSTEM_PYTHON))
        _, outcome, _ = await deploy(project, commit)
        assert outcome.ok, outcome.error
        answer = await health(project)
        await project.stop_everything()
    assert answer["uid"] not in {0, "0"}
    assert answer["key"] is False
