"""What is said of a release that did not go live: of the first one of a project too, which has no previous one."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import ReleaseOutcome, Serving
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40


async def told(world: World, commit: str, **changes: object) -> str:
    """Everything that a person reads of a deploy that failed or was cancelled."""
    message = world.deploy(commit=commit, **changes)
    started = await world.gateway.start_deploy(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    said = world.platform.of(message.task_id)
    return "\n".join([*(str(one.milestone.message) for one in said if one.milestone), f"ERROR {said[-1].error}"])


@pytest.mark.parametrize("broken", ["broken", "unhealthy", "dies"])
async def test_a_first_deploy_that_fails_speaks_of_no_previous_release(world: World, broken: str) -> None:
    getattr(world.target, broken).add(A)
    said = await told(world, A, watch_s=5)
    assert "previous release" not in said
    assert "Nothing was online before; removing what was started." in said
    assert "nothing of this project was online before, and what was started has been removed" in said
    assert world.target.serving is None


async def test_a_later_deploy_that_fails_returns_to_the_previous_release(world: World) -> None:
    await (await started(world, A)).result()
    world.target.broken.add(B)
    said = await told(world, B)
    assert "Returning to the previous release. the candidate did not start" in said
    assert "ERROR the candidate did not start; the previous release is still running." in said
    assert "online before" not in said


async def started(world: World, commit: str) -> WorkflowHandle[Any, Any]:
    return world.handle((await world.gateway.start_deploy(world.deploy(commit=commit))).workflow_id)


async def test_what_cannot_be_removed_of_a_first_release_is_no_return(world: World) -> None:
    world.target.broken.add(A)
    world.target.revert_error = OrchestratorError(ErrorCode.PLAYBOOK_FAILED, "the disk is full.")
    world.target.seen = Serving(detail="no HTTP answer")
    said = await told(world, A)
    assert "removing what was started failed: the disk is full. Nothing serves at the moment. Deploy again." in said
    assert "previous release" not in said
    assert "earlier release" not in said


async def test_a_sentence_behind_a_log_stands_on_a_line_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = world.target.release

    async def with_a_log(*given: Any) -> ReleaseOutcome:
        outcome = await release(*given)
        return outcome.model_copy(update={"error": f"{outcome.error}.\nThe end of its log:\nValueError: 1"})

    monkeypatch.setattr(type(world.target), "release", lambda _, *given: with_a_log(*given))
    world.target.broken.add(A)
    assert "ValueError: 1\n\nNothing of this project was online before" in await told(world, A)


@pytest.mark.parametrize("live", [False, True], ids=["first", "later"])
async def test_a_cancel_says_what_is_online_afterwards(world: World, live: bool) -> None:
    if live:
        await (await started(world, A)).result()
    world.target.step = Step(held=True)
    message = world.deploy(commit=B)
    workflow_id = (await world.gateway.start_deploy(message)).workflow_id
    await world.target.step.reached()
    await world.gateway.cancel(workflow_id)
    with pytest.raises(WorkflowFailureError):
        await world.handle(workflow_id).result()
    last = str(world.platform.of(message.task_id)[-1].milestone)
    assert ("Cancelled; the previous release is still running." in last) is live
    assert ("nothing of this project was online before" in last) is not live
