"""What only releases as processes do; what both targets do is in `test_target_contract.py`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import httpx
import pytest

from activities.adapters.release import directory
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.users import UnprivilegedUsers
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import DeploymentDTO
from contracts.states import ReleaseState
from contracts.steps import ReleaseOutcome, ReleaseRequest, ReleaseVerdict
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.sample_service import MANIFEST, SECRET, Recorder, SampleProject, foreign_listener

SYSTEM_PYTHON = "/usr/bin/python3"
IN_SYSTEM_PYTHON = MANIFEST.replace("{python}", SYSTEM_PYTHON)
_LOOK_AROUND = """
        import fcntl
        def seen():
            listed = open({names!r}).read().split("\\n") if os.path.exists({names!r}) else []
            for path in listed:
                try:
                    open(path, "rb").read(1)
                except OSError:
                    continue
                yield path
        def held(path):
            try:
                fcntl.flock(open(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True
        paths = list(seen())
        locks = [path for path in paths if path.endswith(".lock")]
        body = {{**body, "uid": os.getuid(), "seen": paths, "held": any(map(held, locks))}}
"""


def users_of(home: Path) -> UnprivilegedUsers:
    return UnprivilegedUsers(home, interpreter=Path(SYSTEM_PYTHON), machine=home / "machine")


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free())
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


@pytest.mark.deep
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"answer": "status = 500"}, "answered 500"),
        ({"answer": "body['status'] = 'bad'"}, "answered without"),
        ({"prologue": "import threading; threading.Timer(0.15, lambda: os._exit(3)).start()"}, "exit code 3"),
    ],
    ids=["500", "wrong-body", "dies-after-start"],
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


async def test_a_foreign_program_on_the_port_is_named_and_left_alone(project: SampleProject) -> None:
    with foreign_listener(project.port):
        _, outcome, _ = await deploy(project, project.commit("v1"))
    assert (outcome.error_code, outcome.taken_ports) == (ErrorCode.PORT_TAKEN, [project.port])
    assert f"Port {project.port} of backend is taken" in str(outcome.error)
    assert project.service_runs() == []


async def test_the_same_release_starts_on_another_port_than_the_one_that_was_taken(project: SampleProject) -> None:
    """As the deploy does while nobody knows the address: what the first attempt has built is used."""
    commit = project.commit("v1")
    request = await project.request(commit)
    recorder = Recorder()
    with foreign_listener(project.port):
        first = await project.target.release(request, project.environment(request), recorder.follow)
        built = await project.built(request.release_id)
        project.port = any_free()
        ports = [item.model_copy(update={"port": project.port}) for item in request.allocation.ports]
        allocation = request.allocation.model_copy(update={"ports": ports})
        moved = request.model_copy(update={"allocation": allocation})
        second = await project.target.release(moved, project.environment(moved), recorder.follow)
    assert (first.ok, second.ok) == (False, True), second.error
    assert (await health(project))["version"] == "v1"
    assert await project.built(request.release_id) == built


async def test_two_projects_of_one_name_have_their_own_places(tmp_path: Path) -> None:
    first = directory.claim_place(tmp_path, "p-1", "blog")
    second = directory.claim_place(tmp_path, "p-2", "blog")
    assert first.root != second.root
    assert directory.claim_place(tmp_path, "p-1", "blog") == first
    assert directory.claim_place(tmp_path, "p-2", "blog") == second


async def test_a_renamed_project_stays_where_it_is_and_leaves_its_old_name_to_nobody(tmp_path: Path) -> None:
    place = directory.claim_place(tmp_path, "p-1", "blog")
    assert directory.claim_place(tmp_path, "p-1", "diary") == place
    assert directory.claim_place(tmp_path, "p-2", "blog") != place
    directory.remove_place(place, tmp_path)
    assert directory.claim_place(tmp_path, "p-1", "diary").root.name == "diary"


@pytest.mark.parametrize("kind", ["directory", "link", "file"])
async def test_what_a_person_keeps_under_a_projects_name_is_neither_taken_nor_removed(
    tmp_path: Path, kind: str
) -> None:
    theirs = tmp_path / "www" if kind == "directory" else tmp_path / "elsewhere"
    theirs.mkdir()
    (theirs / "index.html").write_text("a person's")
    if kind == "link":
        (tmp_path / "www").symlink_to(theirs)
    if kind == "file":
        (tmp_path / "www").write_text("a person's")
    place = directory.claim_place(tmp_path, "p-1", "www")
    assert place.root.name.startswith("www_")
    assert directory.claim_place(tmp_path, "p-1", "www") == place
    directory.remove_place(place, tmp_path)
    assert (theirs / "index.html").read_text() == "a person's"
    assert (tmp_path / "www").exists()


async def test_a_removal_that_was_killed_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = directory.claim_place(tmp_path, "p-1", "blog")
    secrets = place.release("rel-1") / "env" / "backend.env"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("A=1")
    with monkeypatch.context() as killed:
        killed.setattr(directory, "remove_tree", _killed)
        with pytest.raises(KeyboardInterrupt):
            directory.remove_place(place, tmp_path)
    assert directory.claim_place(tmp_path, "p-1", "renamed") == place
    directory.remove_place(place, tmp_path)
    assert list(tmp_path.iterdir()) == []


def _killed(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


async def test_a_switch_that_outlives_its_temporal_worker_is_not_undone_by_the_next_one(project: SampleProject) -> None:
    """The next one looks which services should run while a release program still holds the lock."""
    first, _, _ = await deploy(project, project.commit("v1"))
    second, _, _ = await deploy(project, project.commit("v2"), first.release_id)
    serving = await project.live()
    directory.make_current(project.place, first.release_id)
    async with file_lock(project.place.lock):
        restoring = asyncio.create_task(project.target.restore_services())
        done, _ = await asyncio.wait({restoring}, timeout=0.5)
        directory.make_current(project.place, second.release_id)
    assert (done, await restoring) == (set(), [])
    assert await project.live() == serving
    assert (await health(project))["version"] == "v2"


async def test_services_are_started_again_after_they_were_all_lost(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    name = project.service_runs()[0]
    await project.stop_everything()
    assert await project.target.restore_services() == [name]
    assert await project.target.restore_services() == []
    await eventually(partial(answers, project))
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
        project = SampleProject(home, any_free(), users=users_of(home))
        look_around = f"body['uid'] = os.getuid(); body['key'] = os.access({str(key)!r}, os.R_OK)"
        commit = project.commit("v1", answer=look_around, service__yaml=MANIFEST.replace("{python}", SYSTEM_PYTHON))
        _, outcome, _ = await deploy(project, commit)
        assert outcome.ok, outcome.error
        answer = await health(project)
        await project.stop_everything()
    assert answer["uid"] not in {0, "0"}
    assert answer["key"] is False


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path(SYSTEM_PYTHON).exists(), reason="needs root and a Python that everybody may run"
)
async def test_a_service_finds_nothing_of_another_project_that_it_could_read_or_hold_up() -> None:
    """Sources, databases, locks and logs of a neighbour, and of the platform: it tries every file of the whole home,
    whose names it is given."""
    with TemporaryDirectory() as directory_name:
        home = Path(directory_name)
        home.chmod(0o711)
        # As the forge makes its directory; here the commits come from outside.
        (home / "forge").mkdir(mode=0o700)
        neighbour = SampleProject(home, any_free(), users=users_of(home))
        spy = SampleProject(home, any_free(), users=users_of(home))
        writes = "(data / 'notes.sqlite').write_text('private')"
        ours = await deploy(neighbour, neighbour.commit("n", prologue=writes, service__yaml=IN_SYSTEM_PYTHON))
        names = home / "names"
        look = _LOOK_AROUND.format(names=str(names))
        theirs = await deploy(spy, spy.commit("s", answer=look, service__yaml=IN_SYSTEM_PYTHON))
        assert (ours[1].ok, theirs[1].ok) == (True, True), (ours[1].error, theirs[1].error)
        names.write_text("\n".join(str(path) for path in home.rglob("*") if path.is_file()))
        names.chmod(0o644)
        answer, own = await health(spy), (await health(neighbour))["version"]
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (neighbour.place.root, neighbour.place.data)}
        owner = neighbour.place.data.stat().st_uid
        await spy.stop_everything()
        await neighbour.stop_everything()
    seen = [Path(str(path)) for path in cast("list[str]", answer["seen"])]
    elsewhere = {path.relative_to(home).parts[0] for path in seen if not path.is_relative_to(spy.place.root)}
    assert own == "n"
    assert answer["uid"] not in {0, owner}
    # Packages are public, and the list is what the test has given it.
    assert elsewhere <= {"caches", "names"}, sorted(map(str, seen))
    assert {path.relative_to(home).parts[:2] for path in seen if "caches" in path.parts} <= {("caches", "venvs")}
    assert any(path.name == "backend.py" for path in seen), "it does see its own code"
    assert answer["held"] is False, "nor can it keep a deploy waiting, not even its own"
    assert modes == {neighbour.place.root.name: "0o750", "data": "0o700"}


async def test_what_older_platforms_left_open_is_closed_by_the_next_deploy(project: SampleProject) -> None:
    place = directory.claim_place(project.home / "services", project.project_id, project.name)
    place.data.mkdir(mode=0o755)
    place.root.chmod(0o755)
    place.lock.touch(mode=0o644)
    _, outcome, _ = await deploy(project, project.commit("v1"))
    assert outcome.ok, outcome.error
    found = {path.name: oct(path.stat().st_mode & 0o777) for path in (place.root, place.data, place.lock)}
    assert found == {place.root.name: "0o700", "data": "0o700", ".lock": "0o600"}
