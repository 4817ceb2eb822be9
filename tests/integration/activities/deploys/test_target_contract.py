"""What every deploy target promises, whatever services run as: a real program, seen from outside over HTTP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import DeploymentDTO
from contracts.states import DeployAction, ReleaseState
from contracts.steps import OperationRequest, ReleaseOutcome, ReleaseRequest, ReleaseVerdict
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.services.container_service import ContainerProject, OneServer, no_engine
from tests.support.services.sample_service import MANIFEST, SECRET, Recorder, SampleProject

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.timeout(400)  # a shared machine may be slow, and the first test makes the server
deep = pytest.mark.deep
MIGRATES = MANIFEST.replace("    health_path", '    migrate: ["{python}", "migrate.py"]\n    health_path')
"""A manifest whose backend names a migration."""
SIDES = [pytest.param("process", marks=deep), "container"]
"""The gate looks at containers; at processes it looks where a test says so."""
IN_PROCESSES = ["process", pytest.param("container", marks=deep)]
"""For claims about what both sides do with the same code, where another test has that code in containers."""
project_of_processes = pytest.mark.parametrize("project", IN_PROCESSES, indirect=True)
served_by_processes = pytest.mark.parametrize("served", IN_PROCESSES, indirect=True)
CALLER = """
import asyncio, json, sys
from pathlib import Path
from contracts.steps import ReleaseRequest
from tests.support.services.container_service import ContainerProject, OneServer
from tests.support.services.sample_service import Recorder, SampleProject

facts, request = json.loads(sys.stdin.read())
server = facts.pop("server")
facts["home"] = Path(facts["home"])
if server is None:
    project = SampleProject(**facts)
else:
    project = ContainerProject(**facts, server=OneServer(Path(server["home"]), server["handle"]))
request = ReleaseRequest.model_validate_json(request)
asyncio.run(project.target.release(request, project.environment(request), Recorder().follow))
"""


@dataclass
class Served:
    """A release that was deployed, and what others could see of it meanwhile."""

    project: SampleProject
    request: ReleaseRequest
    outcome: ReleaseOutcome
    recorder: Recorder
    seen: str


Deployed = tuple[ReleaseRequest, ReleaseOutcome, Recorder]


@pytest.fixture(params=SIDES)
async def project(
    request: pytest.FixtureRequest, tmp_path: Path, container_server: OneServer
) -> AsyncIterator[SampleProject]:
    async with sample(request.param, tmp_path, container_server) as one:
        yield one


@pytest.fixture(scope="module", params=SIDES)
async def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, container_server: OneServer
) -> AsyncIterator[Served]:
    """For tests that leave the project with this release serving."""
    async with sample(request.param, tmp_path_factory.mktemp("served"), container_server) as project:
        yield await deploy_and_look(project)


@asynccontextmanager
async def sample(side: str, home: Path, server: OneServer) -> AsyncIterator[SampleProject]:
    one = SampleProject(home, any_free()) if side == "process" else await in_containers(home, server)
    yield one
    await one.clean_up()


async def in_containers(home: Path, server: OneServer) -> ContainerProject:
    obstacle = no_engine()
    if obstacle is not None:
        pytest.skip(obstacle)
    access = await server.prepare()
    return ContainerProject(home, any_free(), server_handle=server.handle, server_ip=access.host, server=server)


async def deploy(project: SampleProject, commit: str, previous: str | None = None, release_id: str = "") -> Deployed:
    request = await project.request(commit, previous=previous, release_id=release_id, timeout_s=300)
    recorder = Recorder()
    outcome = await project.target.release(request, project.environment(request), recorder.follow)
    return request, outcome, recorder


async def deploy_and_look(project: SampleProject) -> Served:
    holds = f"body['holds'] = os.environ['API_TOKEN'] == {SECRET!r}"
    commit = project.commit("v1", prologue=project.held("candidate"), answer=holds)
    request, recorder = await project.request(commit, timeout_s=300), Recorder()
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), recorder.follow))
    await reached(project, request, "candidate")
    seen = [await project.seen_by_others()]
    await project.let_go()
    while not task.done():
        seen.append(await project.seen_by_others())
        await asyncio.wait({task}, timeout=0.1)
    seen.append(await project.seen_by_others())
    return Served(project, request, task.result(), recorder, "".join(seen))


async def let_go_until_done(project: SampleProject, deploying: Coroutine[Any, Any, Deployed]) -> Deployed:
    """For a commit that waits as a candidate: in containers each candidate has a directory of its own."""
    task = asyncio.ensure_future(deploying)
    while not task.done():
        await project.let_go()
        await asyncio.wait({task}, timeout=0.2)
    return task.result()


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
        server_handle=project.server_handle,
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


async def operate(project: SampleProject, action: DeployAction, release: DeploymentDTO) -> str | None:
    request = OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-operate", action=action
    )
    result = await project.target.operate(request, release, Recorder().follow)
    assert result.ok, result.error
    return result.url


def told(recorder: Recorder) -> str:
    return json.dumps([event.model_dump(mode="json") for event in recorder.events])


def texts_under(*directories: Path) -> str:
    files = [file for directory in directories for file in directory.rglob("*") if file.is_file()]
    return "".join(file.read_text(errors="replace") for file in files)


async def assert_only_serves(project: SampleProject, request: ReleaseRequest) -> None:
    answer = await health(project)
    assert (answer["release"], answer["commit"]) == (request.release_id, request.plan.commit)
    assert [name.rpartition("-backend-")[2] for name in await project.live()] == [request.release_id]
    assert await project.candidates() == []


@pytest.mark.parametrize("served", ["process", "container"], indirect=True)
async def test_a_release_answers_at_its_public_address_and_the_steps_are_told(served: Served) -> None:
    project, steps = served.project, served.recorder.steps
    assert served.outcome.ok, served.outcome.error
    await assert_only_serves(project, served.request)
    assert (await health(project))["phase"] == "live"
    assert (steps[0], *steps[2:]) == (
        "Check out the commit",
        "Write the environment",
        "Start a candidate and check its health",
        "Switch to the new release",
    )
    assert len({event.key for event in served.recorder.events}) == len(served.recorder.events)
    probe = await project.target.probe(project.probe_request(served.request))
    assert (probe.ok, probe.url, probe.restarts) == (True, project.url, 0), probe.error


async def test_nothing_secret_can_be_seen_by_others_or_is_left_by_the_run(served: Served) -> None:
    project = served.project
    assert (await health(project))["holds"] is True, "the service has the secret"
    assert "backend.py" in served.seen, "the service was not seen"
    assert SECRET not in served.seen + told(served.recorder)
    left = texts_under(project.home / "orders", project.home / "runs", project.home / "artifacts")
    assert "Check out the commit" in left
    assert SECRET not in left


@served_by_processes
@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"prologue": "sys.exit('no database: ' + os.environ['API_TOKEN'])"}, "ended with exit code 1"),
        pytest.param({"answer": "status = 404"}, "answered 404", marks=deep),
        pytest.param({"answer": "body['release'] = 'rel-other'"}, "another release answered", marks=deep),
    ],
    ids=["start", "health", "wrong-release"],
)
async def test_a_broken_release_leaves_the_previous_one_serving(
    served: Served, broken: dict[str, str], why: str
) -> None:
    project, first = served.project, served.request
    kept, before = await project.releases(), await project.live()
    second, outcome, recorder = await deploy(project, project.commit("v2", **broken), previous=first.release_id)
    assert (outcome.ok, outcome.switched, outcome.error_code) == (False, False, ErrorCode.PROBE_FAILED)
    assert why in str(outcome.error)
    assert "starting v2" in str(outcome.error), "the end of its log is shown"
    assert SECRET not in str(outcome.error) + told(recorder)
    assert await project.live() == before, "the old one was never touched"
    assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok
    await assert_only_serves(project, first)
    assert await project.live() == before
    assert await project.releases() == kept


@pytest.mark.parametrize("served", ["container"], indirect=True)
async def test_a_release_that_cannot_be_built_says_why_and_the_old_one_serves(served: Served) -> None:
    project, before = served.project, await served.project.live()
    broken = "FROM debian:bookworm-slim\nRUN echo the compiler is missing && exit 3\n"
    _, outcome, _ = await deploy(project, project.commit("v2", Dockerfile=broken), previous=served.request.release_id)
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PLAYBOOK_FAILED)
    assert "the compiler is missing" in str(outcome.error)
    assert await project.live() == before


@served_by_processes
async def test_a_rollback_serves_the_exact_earlier_commit_without_building_it(served: Served) -> None:
    project, first, one, commit = served.project, served.request, served.outcome, served.request.plan.commit
    second, two, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    built = await project.built(first.release_id)
    going_back = deploy(project, commit, previous=second.release_id, release_id=first.release_id)
    _, back, _ = await let_go_until_done(project, going_back)
    assert back.ok, back.error
    await assert_only_serves(project, first)
    assert (await health(project))["version"] == "v1"
    assert await project.built(first.release_id) == built
    assert back.image == one.image
    assert one.image is None or one.image != two.image


@deep
@pytest.mark.parametrize("served", ["container"], indirect=True)
async def test_a_commit_is_built_once_and_a_release_runs_the_image_that_was_recorded_for_it(served: Served) -> None:
    project, first = served.project, served.request
    again = deploy(project, first.plan.commit, previous=first.release_id)
    second, outcome, _ = await let_go_until_done(project, again)
    assert outcome.image == served.outcome.image is not None, "built again"
    image = outcome.image
    another = recorded(project, second).model_copy(update={"image": image.replace(image[-4:], "0000")})
    restart = OperationRequest(
        project_id=project.project_id, project_name=project.name, task_id="dep-restart", action=DeployAction.RESTART
    )
    refused = await project.target.operate(restart, another, Recorder().follow)
    assert (refused.ok, "was recorded with the image" in str(refused.error)) == (False, True), refused
    await assert_only_serves(project, second)
    third = second.model_copy(update={"task_id": "dep-back", "image": another.image})
    outcome = await project.target.release(third, project.environment(third), Recorder().follow)
    assert outcome.error_code == ErrorCode.IMAGE_MISMATCH
    await assert_only_serves(project, second)
    assert (await project.target.operate(restart, recorded(project, second), Recorder().follow)).ok
    assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok
    await assert_only_serves(project, first)


@served_by_processes
async def test_data_are_migrated_while_the_release_before_serves_and_a_failure_leaves_it_so(served: Served) -> None:
    project, first = served.project, served.request
    data = "pathlib.Path(os.environ['DATA_DIR'], 'schema')"
    script = f"import os, pathlib, sys; print(os.environ['API_TOKEN'], 'to v2'); {data}.open('a').write('v2')"
    tells = {"answer": f"import pathlib; body['schema'] = {data}.exists() and {data}.read_text()"}
    files = {"service__yaml": MIGRATES, "migrate__py": f"{script}; sys.exit('no room left')"}
    before = await project.live()
    _, outcome, recorder = await deploy(project, project.commit("v2", **tells, **files), previous=first.release_id)
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.MIGRATION_FAILED)
    assert "no room left" in str(outcome.error)
    assert SECRET not in str(outcome.error) + told(recorder)
    assert recorder.steps[-1] == "Migrate the data", "no candidate was started"
    assert await project.live() == before
    commit = project.commit("v3", **tells, service__yaml=MIGRATES, migrate__py=script)
    second, outcome, recorder = await deploy(project, commit, previous=first.release_id)
    assert outcome.ok, outcome.error
    assert recorder.steps[-3:] == ["Migrate the data", "Start a candidate and check its health", recorder.steps[-1]]
    assert (await health(project))["schema"] == "v2v2", "the release serves what was migrated"
    back = second.model_copy(update={"task_id": "dep-again", "image": outcome.image})
    assert (await project.target.release(back, project.environment(back), Recorder().follow)).ok
    assert (await health(project))["schema"] == "v2v2", "a release that has served is not migrated again"
    assert "to v2" in texts_under(project.home / "artifacts")
    assert SECRET not in texts_under(project.home / "artifacts", project.home / "runs")
    assert (await project.target.revert(verdict(project, second), recorded(project, first))).ok


@served_by_processes
async def test_a_second_release_replaces_the_first_and_a_revert_brings_that_back(served: Served) -> None:
    project, first = served.project, served.request
    kept, starts = await project.releases(), await project.starts()
    second, outcome, _ = await deploy(project, project.commit("v2"), previous=first.release_id)
    assert outcome.ok, outcome.error
    await assert_only_serves(project, second)
    assert await project.releases() == {*kept, second.release_id}
    assert await project.starts() == [*starts, second.release_id], "a candidate touched live data"
    for _ in range(2):
        reverted = await project.target.revert(verdict(project, second), recorded(project, first))
        assert reverted.ok, reverted.error
        await assert_only_serves(project, first)


@project_of_processes
async def test_reverting_a_first_release_leaves_nothing_running(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    assert (await project.target.revert(verdict(project, request), None)).ok
    assert await project.live() == {}


@served_by_processes
@pytest.mark.parametrize("moment", [pytest.param("candidate", marks=deep), "live"])
async def test_cancelling_a_release_leaves_nothing_of_it(
    served: Served, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, first = served.project, served.request
    kept = await project.releases()
    # It is never released: what waited for it would wait longer than this test may take.
    monkeypatch.setattr(project, "start_timeout_s", 600)
    stands_still = project.commit("v2", prologue=project.held(moment, until="never"))
    request = await project.request(stands_still, previous=first.release_id, timeout_s=600)
    task = asyncio.ensure_future(project.target.release(request, project.environment(request), Recorder().follow))
    await reached(project, request, moment)
    task.cancel()
    await project.target.stop_release(request)
    await assert_only_serves(project, first)
    assert await project.releases() == kept
    assert not any("activities.adapters.release" in line or "ssh " in line for line in project.processes())
    assert SECRET not in texts_under(project.home / "orders")


@project_of_processes
@pytest.mark.parametrize("moment", ["candidate", pytest.param("live", marks=deep)])
async def test_a_killed_caller_finds_its_deploy_again(project: SampleProject, moment: str) -> None:
    request = await project.request(project.commit("v1", prologue=project.held(moment)), timeout_s=300)
    caller = await start_caller(project, request)
    await reached(project, request, moment)
    caller.kill()
    await caller.wait()
    runs = [path.name for path in (project.home / "runs").glob("play-*")]
    first = project.supervisor.status(runs[0])
    assert first.state == "running", "the deploy outlives its caller"
    await project.let_go()
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert outcome.ok, outcome.error
    assert project.supervisor.status(runs[0]).pid == first.pid, "adopted, not run again"
    await assert_only_serves(project, request)
    assert await project.starts() == [request.release_id]


async def reached(project: SampleProject, request: ReleaseRequest, moment: str) -> None:
    async def is_there() -> bool:
        if moment == "candidate":
            return bool(await project.candidates())
        return any(name.endswith(f"-backend-{request.release_id}") for name in await project.live())

    _: bool = await eventually(is_there, timeout=60)


async def start_caller(project: SampleProject, request: ReleaseRequest) -> asyncio.subprocess.Process:
    """Another process that deploys, as a Temporal worker does."""
    server = project.server if isinstance(project, ContainerProject) else None
    facts = {
        "home": str(project.home),
        "port": project.port,
        "project_id": project.project_id,
        "name": project.name,
        "server_handle": project.server_handle,
        "server_ip": project.server_ip,
        "server": {"home": str(server.home), "handle": server.handle} if server else None,
    }
    caller = await asyncio.create_subprocess_exec(sys.executable, "-c", CALLER, stdin=asyncio.subprocess.PIPE, cwd=ROOT)
    assert caller.stdin is not None
    caller.stdin.write(json.dumps([facts, request.model_dump_json()]).encode())
    caller.stdin.close()
    return caller


@project_of_processes
async def test_a_project_can_be_stopped_restarted_and_removed(project: SampleProject) -> None:
    request, _, _ = await deploy(project, project.commit("v1"))
    release = recorded(project, request)
    await operate(project, DeployAction.STOP, release)
    assert await project.live() == {}
    assert await project.target.restore_services() == [], "stopped stays stopped"
    assert await operate(project, DeployAction.RESTART, release) == project.url
    await assert_only_serves(project, request)
    for _ in range(2):
        await operate(project, DeployAction.REMOVE, release)
        assert await project.left() == []
    assert await project.kept_data() == ["started"]


@project_of_processes
async def test_a_service_that_crashes_once_while_it_is_probed_fails_the_probe(project: SampleProject) -> None:
    # Once it was asked to, it ends right after its next answer; what is started again answers well.
    crash = "asked.append(1) if self.path == '/crash' else asked and threading.Timer(0.05, os._exit, [1]).start()"
    commit = project.commit("v1", prologue="import threading; asked = []", answer=crash)
    request, outcome, _ = await deploy(project, commit)
    assert outcome.ok, outcome.error
    assert (await project.target.probe(project.probe_request(request))).ok
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{project.url}/crash")
    crashed = await project.target.probe(project.probe_request(request))
    assert not crashed.ok
    assert "backend" in str(crashed.error)
