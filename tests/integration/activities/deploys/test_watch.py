"""A release is watched at its public address after the switch: real processes, seen over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.playbooks import watching
from activities.health import HealthActivities
from contracts.base import utc_now
from contracts.nouns import DeploymentDTO, PortAllocationDTO
from contracts.states import ReleaseState
from contracts.steps import ProbeRequest, ProbeResult, ReleaseRequest
from runtime.embedded.ports import any_free
from tests.support.eventually import eventually
from tests.support.services.sample_service import MANIFEST, SECRET, Recorder, SampleProject
from tests.support.workflows.fakes import FakePlatform

LIVE = "os.environ['RELEASE_PHASE'] == 'live'"
EXITS = """import threading
def end():
    print("bye", os.environ["API_TOKEN"], flush=True)
    os._exit(3)
if os.environ["RELEASE_PHASE"] == "live":
    threading.Timer(2.5, end).start()
"""


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


async def test_a_service_that_exits_after_some_seconds_is_not_live(project: SampleProject) -> None:
    request = await released(project, project.commit("v1", prologue=EXITS))
    probe = await project.target.probe(project.probe_request(request))
    assert probe.ok, "the probe after the switch finds nothing wrong with it"
    result = await watched(project, request, 8, probe)
    assert not result.ok
    assert "started again" in str(result.error)
    assert "bye" in str(result.error), "the end of its log says why"
    assert SECRET not in str(result.error)


async def test_a_restart_between_the_probe_and_a_watch_that_begins_anew_is_seen(project: SampleProject) -> None:
    request = await released(project, project.commit("v1", prologue=EXITS))
    probe = await project.target.probe(project.probe_request(request))
    name = project.service_runs()[0]
    await eventually(lambda: project.supervisor.status(name).restarts > 0, timeout=20)
    assert not (await watched(project, request, 1, probe)).ok


async def test_a_steady_service_passes_its_watch(project: SampleProject) -> None:
    request = await released(project, project.commit("v1"))
    result = await watched(project, request, 1, await project.target.probe(project.probe_request(request)))
    assert result.ok, result.error
    assert result.url == result.services["backend"].link == project.url


async def test_a_service_that_turns_unhealthy_for_long_is_not_live(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 1.0)
    turns = "status = 500 if time.monotonic() - began > 2 else 200"
    request = await released(
        project, project.commit("v1", prologue="import time; began = time.monotonic()", answer=turns)
    )
    result = await watched(project, request, 6)
    assert not result.ok
    assert "answered 500" in str(result.error)


async def test_a_service_that_is_busy_for_a_moment_stays_live(project: SampleProject) -> None:
    busy = "status = 503 if 1.5 < time.monotonic() - began < 2.5 else 200"
    request = await released(
        project, project.commit("v1", prologue="import time; began = time.monotonic()", answer=busy)
    )
    result = await watched(project, request, 3)
    assert result.ok, result.error


async def test_a_bot_that_does_not_reach_telegram_is_not_live_and_the_reason_is_told(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 1.0)
    request = await released(project, project.commit("v1", answer="body['polling'] = False"))
    result = await watched(project, request, 1)
    assert not result.ok
    assert "does not reach Telegram" in str(result.error)


async def test_a_bot_has_a_link_of_its_own_once_it_polls(project: SampleProject) -> None:
    polls = "body |= {'polling': " + LIVE + " and time.monotonic() - began > 1.5, 'bot': 'demo_bot'}"
    commit = project.commit("v1", prologue="import time; began = time.monotonic()", answer=polls)
    result = await watched(project, await released(project, commit), 1)
    assert result.ok, result.error
    assert (result.url, result.services["backend"].link) == ("https://t.me/demo_bot",) * 2


async def test_what_a_live_body_must_hold_is_asked_of_a_live_service_only(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_WRONG_FOR_S", 0.5)
    manifest = MANIFEST.replace("    port:", "    live_body: '\"ready\":true'\n    port:")
    request = await released(project, project.commit("v1", service__yaml=manifest))
    result = await watched(project, request, 1)
    assert '"ready":true' in str(result.error)


async def test_restarts_and_wrong_answers_are_recorded_long_after_the_deploy(project: SampleProject) -> None:
    request = await released(project, project.commit("v1", prologue=EXITS))
    platform, name = PlatformOf(project, request), project.service_runs()[0]
    health = HealthActivities(project.target, platform)
    await health.look_at_all(1)
    first = platform.books[request.release_id].health
    assert first is not None
    assert (first.services["backend"].state, first.services["backend"].restarts) == ("healthy", 0)
    await eventually(lambda: project.supervisor.status(name).pid is None, timeout=20)
    told = await health.look_at_all(1)
    second = platform.books[request.release_id].health
    assert second is not None
    assert (told.looked_at, told.unhealthy, second.services["backend"].state) == (1, 1, "unhealthy")
    assert second.services["backend"].since > first.services["backend"].since


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

    async def allocate_ports(self, project_id: str, services: list[str]) -> PortAllocationDTO:
        return PortAllocationDTO(project_id=project_id, server_handle="local", server_ip="127.0.0.1", ports=self._ports)
