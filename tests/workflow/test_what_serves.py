"""After a return to the previous release that failed, the project says what really serves."""

import pytest
from temporalio.client import WorkflowFailureError

from activities import deployment
from contracts import ids
from contracts.errors import ErrorCode, OrchestratorError
from contracts.progress import Projection
from contracts.states import DeployAction, ProjectStatus, ReleaseState, TaskState
from contracts.steps import Serving
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40
FULL = OrchestratorError(ErrorCode.IMAGE_MISMATCH, "the server has it no more")
AWAY = OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, "The server does not answer.")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_RETURN_AGAIN_S", 0.01)


async def live(world: World) -> str:
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.handle(started.workflow_id).result()
    return ids.release_id_for_task(message.task_id)


async def failed(world: World, **changes: object) -> tuple[Projection, str]:
    """The last word of a deploy that failed, and its release."""
    message = world.deploy(commit=B, **changes)
    started = await world.gateway.start_deploy(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    return world.platform.of(message.task_id)[-1], ids.release_id_for_task(message.task_id)


@pytest.mark.parametrize("unhealthy", [True, False], ids=["probe", "deploy"])
async def test_nothing_serves_and_the_project_says_so(world: World, unhealthy: bool) -> None:
    before = await live(world)
    (world.target.unhealthy if unhealthy else world.target.broken).add(B)
    world.target.revert_error, world.target.seen = FULL, Serving(detail="no HTTP answer (ConnectionRefusedError)")
    last, mine = await failed(world)
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.ROLLBACK_FAILED)
    assert "Nothing serves" in str(last.error)
    assert "still running" not in str(last.error)
    assert last.project_status is ProjectStatus.FAILED
    assert "Nothing serves" in str(world.platform.serving)
    states = {release.id: release.state for release in world.platform.books.values()}
    assert states == {before: ReleaseState.SUPERSEDED, mine: ReleaseState.FAILED}


async def test_the_failed_release_that_could_not_be_removed_is_named(world: World) -> None:
    before = await live(world)
    world.target.unhealthy.add(B)
    world.target.revert_error = FULL
    last, mine = await failed(world)
    assert f"Release {mine} still serves" in str(last.error)
    assert f"Release {mine} still serves" in str(world.platform.serving)
    assert world.platform.books[before].state is ReleaseState.SUPERSEDED


async def test_a_previous_release_that_answers_all_the_same_stays_the_active_one(world: World) -> None:
    before = await live(world)
    world.target.broken.add(B)
    world.target.revert_error = FULL
    last, _ = await failed(world)
    assert f"The previous release {before} serves" in str(last.error)
    assert world.platform.books[before].state is ReleaseState.ACTIVE


async def test_a_server_that_does_not_come_back_leaves_it_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "_RETURN_S", 0.05)
    before = await live(world)
    world.target.unhealthy.add(B)
    world.target.revert_error, world.target.seen = AWAY, Serving(known=False, detail="no route")
    last, _ = await failed(world)
    assert "not known what serves" in str(last.error)
    assert "not known what serves" in str(world.platform.serving)
    assert world.platform.books[before].state is ReleaseState.ACTIVE, "the last that was proven"


async def test_a_server_that_comes_back_is_returned_to_the_previous_release(world: World) -> None:
    before = await live(world)
    world.target.unhealthy.add(B)
    world.target.revert_errors = [AWAY] * 20
    last, _ = await failed(world)
    assert last.error_code == ErrorCode.PROBE_FAILED
    assert world.target.serving == before
    assert world.platform.serving is None


async def test_what_was_said_is_over_with_the_next_release_that_serves(world: World) -> None:
    await live(world)
    world.target.unhealthy.add(B)
    world.target.revert_error, world.target.seen = FULL, Serving()
    await failed(world)
    assert world.platform.serving
    started = await world.gateway.start_deploy(world.deploy(action=DeployAction.ROLLBACK))
    await world.handle(started.workflow_id).result()
    assert world.platform.serving is None
