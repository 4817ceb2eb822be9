"""How long a service may take to start is its own choice, in service.yaml."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import ErrorCode
from contracts.steps import ReleaseOutcome
from runtime.embedded.ports import any_free
from tests.support.services.sample_service import MANIFEST, Recorder, SampleProject

SLEEPS = "import time; time.sleep(2.5)"
WARMS_UP = "import time; began = time.monotonic()"
NOT_READY = "status = 503 if time.monotonic() - began < 3.5 else 200"
LIMIT = MANIFEST.replace("    port:", "    start_limit_s: 30\n    port:")


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[SampleProject]:
    sample = SampleProject(tmp_path, any_free(), start_timeout_s=1.0)
    yield sample
    await sample.stop_everything()


async def deploy(project: SampleProject, commit: str) -> ReleaseOutcome:
    request = await project.request(commit, timeout_s=400)
    return await project.target.release(request, project.environment(request), Recorder().follow)


async def test_one_that_starts_too_slowly_says_how_long_was_waited_and_what_to_change(project: SampleProject) -> None:
    outcome = await deploy(project, project.commit("v1", prologue=SLEEPS))
    assert (outcome.ok, outcome.error_code) == (False, ErrorCode.PROBE_FAILED)
    assert "after 1 s" in str(outcome.error)
    assert "`start_limit_s` of this module in service.yaml" in str(outcome.error)


async def test_a_slow_start_within_its_own_limit_goes_live(project: SampleProject) -> None:
    outcome = await deploy(project, project.commit("v1", prologue=SLEEPS, service__yaml=LIMIT))
    assert outcome.ok, outcome.error


@pytest.mark.deep
async def test_one_that_says_that_it_is_not_ready_yet_has_the_same_limit(project: SampleProject) -> None:
    commit = project.commit("v1", prologue=WARMS_UP, answer=NOT_READY, service__yaml=LIMIT)
    outcome = await deploy(project, commit)
    assert outcome.ok, outcome.error


async def test_an_end_is_told_at_once_whatever_the_limit_is(project: SampleProject) -> None:
    outcome = await deploy(project, project.commit("v1", prologue="sys.exit('no database')", service__yaml=LIMIT))
    assert "ended with exit code" in str(outcome.error)
    assert "no database" in str(outcome.error)
