"""A release is watched at its public address after the switch: real processes, seen over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.playbooks import watching
from activities.health import HealthActivities
from contracts.base import utc_now
from contracts.nouns import DeploymentDTO, PortAllocationDTO, ServiceHealth
from contracts.states import ReleaseState
from contracts.steps import ProbeRequest, ProbeResult, ReleaseRequest
from runtime.embedded.ports import any_free
from tests.support.eventually import eventually
from tests.support.services.sample_service import MANIFEST, SECRET, Recorder, SampleProject
from tests.support.workflows.fakes import FakePlatform

ENDS = """import threading, time
def end():
    sign = Path({home!r}) / "end"
    while not sign.exists():
        time.sleep(0.02)
    sign.unlink()
    print("bye", os.environ["API_TOKEN"], flush=True)
    os._exit(3)
if os.environ["RELEASE_PHASE"] == "live":
    threading.Thread(target=end, daemon=True).start()
"""
"""A live service that ends once the file `end` appears."""


@pytest.fixture
async def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SampleProject]:
    monkeypatch.setattr(watching, "WATCH_EVERY_S", 0.2)
    sample = SampleProject(tmp_path, any_free())
    yield sample
    await sample.stop_everything()
    assert sample.processes() == []


async def released(project: SampleProject, commit: str) -> ReleaseRequest:
    request = await project.request(commit, timeout_s=400)
    outcome = await project.target.release(request, project.environment(request), Recorder().follow)
    assert outcome.ok, outcome.error
    return request


async def watched(
    project: SampleProject, request: ReleaseRequest, seconds: int, seen: ProbeResult | None = None
) -> ProbeResult:
    asked = project.probe_request(request).model_dump() | {"watch_s": seconds}
    if seen is not None:
        asked["seen"] = seen.services
    return await project.target.probe(ProbeRequest.model_validate(asked))


def ends(project: SampleProject) -> str:
    return project.commit("v1", prologue=ENDS.format(home=str(project.home)))


def seen(project: SampleProject, name: str) -> str:
    """Whether a file is there, for the code of a service."""
    return f"Path({str(project.home / name)!r}).exists()"


async def test_a_service_that_ends_while_it_is_watched_is_not_live(project: SampleProject) -> None:
    request = await released(project, ends(project))
    probe = await project.target.probe(project.probe_request(request))
    assert probe.ok, "the probe after the switch finds nothing wrong with it"
    watch = asyncio.create_task(watched(project, request, 60, probe))
    (project.home / "end").touch()
    result = await watch
    assert not result.ok
    assert "started again" in str(result.error)
    assert "bye" in str(result.error), "the end of its log says why"
    assert SECRET not in str(result.error)


@pytest.mark.deep
async def test_a_restart_between_the_probe_and_a_watch_that_begins_anew_is_seen(project: SampleProject) -> None:
    request = await released(project, ends(project))
    probe, name = await project.target.probe(project.probe_request(request)), project.service_runs()[0]
    (project.home / "end").touch()
    await eventually(lambda: project.supervisor.status(name).restarts > 0, timeout=20)
    assert not (await watched(project, request, 1, probe)).ok


async def test_a_steady_service_passes_its_watch(project: SampleProject) -> None:
    request = await released(project, project.commit("v1"))
    result = await watched(project, request, 1, await project.target.probe(project.probe_request(request)))
    assert result.ok, result.error
    assert result.url == result.services["backend"].link == project.url


@pytest.mark.deep
async def test_a_service_that_turns_unhealthy_for_long_is_not_live(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 1.0)
    turns = f"status = 500 if {seen(project, 'sick')} else 200"
    request = await released(project, project.commit("v1", answer=turns))
    watch = asyncio.create_task(watched(project, request, 60))
    (project.home / "sick").touch()
    result = await watch
    assert not result.ok
    assert "answered 500" in str(result.error)


@pytest.mark.deep
async def test_a_service_that_is_busy_for_a_moment_stays_live(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 60.0)
    busy = f"status = 503 if {seen(project, 'busy')} else 200"
    request = await released(project, project.commit("v1", answer=busy))
    (project.home / "busy").touch()
    watch = asyncio.create_task(watched(project, request, 1))
    await asyncio.wait({watch}, timeout=2)
    assert not watch.done(), "a service that answers wrongly is not live yet"
    (project.home / "busy").unlink()
    assert (await watch).ok, watch.result().error


async def test_a_bot_that_does_not_reach_telegram_is_not_live_and_the_reason_is_told(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 1.0)
    request = await released(project, project.commit("v1", answer="body['polling'] = False"))
    result = await watched(project, request, 1)
    assert not result.ok
    assert "does not reach Telegram" in str(result.error)


async def test_a_bot_has_a_link_of_its_own_once_it_polls(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 60.0)
    polls = "body |= {'polling': " + seen(project, "polls") + ", 'bot': 'demo_bot'}"
    request = await released(project, project.commit("v1", answer=polls))
    watch = asyncio.create_task(watched(project, request, 1))
    (project.home / "polls").touch()
    result = await watch
    assert result.ok, result.error
    assert (result.url, result.services["backend"].link) == ("https://t.me/demo_bot",) * 2


@pytest.mark.deep
async def test_what_a_live_body_must_hold_is_asked_of_a_live_service_only(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 0.5)
    manifest = MANIFEST.replace("    port:", "    live_body: '\"ready\":true'\n    port:")
    request = await released(project, project.commit("v1", service__yaml=manifest))
    result = await watched(project, request, 1)
    assert '"ready":true' in str(result.error)


@pytest.mark.deep
async def test_restarts_and_wrong_answers_are_recorded_long_after_the_deploy(project: SampleProject) -> None:
    turns = f"status = 500 if {seen(project, 'sick')} else 200"
    commit = project.commit("v1", prologue=ENDS.format(home=str(project.home)), answer=turns)
    request = await released(project, commit)
    platform, name = PlatformOf(project, request), project.service_runs()[0]
    health = HealthActivities(project.target, platform)
    await health.look_at_all(1)
    first = platform.health_of(request)
    assert (first.state, first.restarts, first.error) == ("healthy", 0, None)
    (project.home / "end").touch()
    await eventually(lambda: project.supervisor.status(name).restarts > 0, timeout=20)
    (project.home / "sick").touch()
    told, second = await health.look_at_all(1), platform.health_of(request)
    assert (told.looked_at, told.unhealthy, second.state, second.restarts) == (1, 1, "unhealthy", 1)
    assert second.since > first.since
    await health.look_at_all(1)
    assert platform.health_of(request).since == second.since, "since when it is so, not when it was last seen"


class PlatformOf(FakePlatform):
    """Knows one release, which is active, at its real port."""

    def __init__(self, project: SampleProject, request: ReleaseRequest) -> None:
        super().__init__()
        self._ports = request.allocation.ports
        self.books[request.release_id] = DeploymentDTO(
            id=request.release_id,
            project_id=project.project_id,
            task_id=request.task_id,
            commit=request.plan.commit,
            state=ReleaseState.ACTIVE,
            services=request.plan.services,
            number=1,
            created_at=utc_now(),
            updated_at=utc_now(),
        )

    def health_of(self, request: ReleaseRequest) -> ServiceHealth:
        health = self.books[request.release_id].health
        assert health is not None
        return health.services["backend"]

    async def allocate_ports(self, project_id: str, services: list[str]) -> PortAllocationDTO:
        return PortAllocationDTO(project_id=project_id, server_handle="local", server_ip="127.0.0.1", ports=self._ports)
