"""What holds wherever the services of a commit are checked: in containers, and as processes of this machine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from tests.support.services.runtimes import Bench, working
from tests.support.services.wishes import KEPT, NOTES, READ, WRITE, accept, acceptance, asked, check, report, states

pytestmark = pytest.mark.timeout(300)

ADMIN = {"kind": "http", "path": "/admin", "expect": {"status": 401}}
WITH_TOKEN = {**ADMIN, "headers": {"Authorization": "Bearer {secret:ADMIN_TOKEN}"}, "expect": {"status": 200}}
DELETE = {"kind": "http", "method": "DELETE", "path": "/notes", "expect": {"status": "2xx"}}
SLOW = {**READ, "within_s": 30, "expect": {"contains": ["what never comes"]}}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Bench]:
    """The cheaper place, whose story the gate has."""
    async with working(tmp_path, "process") as one:
        yield one


@pytest.fixture(params=["process", "docker"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(tmp_path, request.param) as one:
        yield one


async def test_each_criterion_ends_as_what_its_checks_have_shown(here: Bench) -> None:
    await _ends_as_shown(here)


@pytest.mark.deep
async def test_in_a_container_each_criterion_ends_as_what_its_checks_have_shown(tmp_path: Path) -> None:
    async with working(tmp_path, "docker") as one:
        await _ends_as_shown(one)


async def _ends_as_shown(bench: Bench) -> None:
    checks = [
        check("kept", *KEPT),
        check("admin", ADMIN, WITH_TOKEN),
        check("deleted", WRITE, DELETE),
        check("news", {**READ, "service": "newsletter"}),
    ]
    request = asked(bench.commit(NOTES), checks)
    extra = request.criteria[0].model_copy(update={"id": "fast"})
    request = request.model_copy(
        update={"criteria": [*request.criteria, extra], "not_checkable": {"fast": "Nobody said how fast."}}
    )
    result = await accept(bench, request)

    assert states(result) == {
        "kept": "met",
        "admin": "met",
        "deleted": "not_met",
        "news": "not_checkable",
        "fast": "not_checkable",
    }, result.evidence
    assert not result.passed
    missed = next(one for one in result.criteria if one.id == "deleted")
    assert missed.proof is not None
    assert "step 2" in missed.proof.text
    assert "501" in missed.proof.text
    assert "DELETE /notes" in result.evidence
    assert "The wish says deleted" in result.evidence
    seen = await report(bench, result)
    assert [step["request"] for step in seen["checks"][0]["steps"]][:2] == ["POST /notes", "GET /notes"]


@pytest.mark.deep
async def test_the_same_question_has_the_same_answer_and_leaves_nothing_behind(bench: Bench) -> None:
    request = asked(bench.commit(NOTES), [check("deleted", DELETE)])
    first, again = await accept(bench, request), await accept(bench, request)
    assert again == first
    name = next((bench.root / "acceptance").glob("accept-*.json")).stem
    for run in (name, f"{name}-services"):
        assert bench.runtime.copies(run) == []
        assert not (bench.root / "acceptance" / run).exists()
    other = await accept(bench, request.model_copy(update={"task_id": "another"}))
    assert other.fingerprint == first.fingerprint, "the same failure twice is recognised"


@pytest.mark.deep
async def test_a_generated_secret_is_in_no_result(bench: Bench) -> None:
    """The service prints it, and the check reads it on purpose."""
    wrong = {**WITH_TOKEN, "expect": {"status": 500}}
    result = await accept(bench, asked(bench.commit(NOTES), [check("token", wrong)]))
    assert states(result) == {"token": "not_met"}
    seen = await report(bench, result)
    assert "the token is [secret]" in seen["log"]
    assert "the token is [secret]" in result.evidence
    assert seen["checks"][0]["steps"][0]["answer"] == '{"token":"[secret]"}'


@pytest.mark.deep
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"app.py": "print('no idea how')\nraise SystemExit(3)"}, "exit code 3"),
        ({"migrate.py": "raise SystemExit('the table is there already')"}, "the table is there already"),
        ({"env.contract.yaml": "entries: [{name: A, source: literal}]"}, "ENV_CONTRACT_INVALID"),
        ({"requirements.txt": "-e git+https://example.com/x"}, "may contain only package names"),
    ],
    ids=["service", "migration", "contract", "packages"],
)
async def test_a_service_that_does_not_start_has_missed_everything(
    bench: Bench, files: dict[str, str], says: str
) -> None:
    result = await accept(bench, asked(bench.commit({**NOTES, **files}), [check("kept", *KEPT), check("admin", ADMIN)]))
    assert states(result) == {"kept": "not_met", "admin": "not_met"}
    assert says in result.evidence or says in str(result.fingerprint) or says == "ENV_CONTRACT_INVALID", result.evidence
    assert "does not run" in result.evidence


@pytest.mark.deep
async def test_a_stop_ends_the_checks_and_the_services(bench: Bench) -> None:
    request = asked(bench.commit(NOTES), [check("slow", SLOW)])
    running = asyncio.create_task(accept(bench, request))
    name = await _first_line(bench, running)
    await acceptance(bench).stop(request)
    with pytest.raises(OrchestratorError) as stopped:
        await running
    assert stopped.value.code is ErrorCode.STOPPED_BY_PERSON
    for run in (name, f"{name}-services"):
        assert bench.runtime.copies(run) == []


@pytest.mark.deep
async def test_a_follower_that_is_killed_is_followed_by_another_and_checks_run_once(bench: Bench) -> None:
    once = {**READ, "expect": {"json": [{"path": "", "length": 1}]}}
    request = asked(bench.commit(NOTES), [check("once", WRITE, {**once, "within_s": 3}, {**once, "within_s": 3})])
    running = asyncio.create_task(accept(bench, request))
    await _first_line(bench, running)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert states(await accept(bench, request)) == {"once": "met"}


@pytest.mark.deep
@pytest.mark.parametrize("which", ["", "-services"], ids=["checks", "services"])
async def test_what_is_killed_from_outside_is_no_fault_of_the_commit(bench: Bench, which: str) -> None:
    request = asked(bench.commit(NOTES), [check("slow", {**SLOW, "within_s": 5})])
    running = asyncio.create_task(accept(bench, request))
    name = await _first_line(bench, running)
    await bench.runtime.kill(f"{name}{which}")
    with pytest.raises(OrchestratorError) as lost:
        await running
    assert (lost.value.code, lost.value.retryable) == (ErrorCode.ACCEPTANCE_LOST, True)
    again = await accept(bench, request)
    assert states(again) == {"slow": "not_met"}, "the next attempt begins anew"


async def _first_line(bench: Bench, running: "asyncio.Task[object]") -> str:
    """The name of the run, once its services have started."""
    while not any("services have started" in text for text in bench.said):
        assert not running.done(), running.result()
        await asyncio.sleep(0.05)
    found = [path.stem for path in (bench.root / "runs").glob("accept-*") if not path.stem.endswith("-services")]
    return found[0]
