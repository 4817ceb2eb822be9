"""Every run ends, with its final state written, whatever happens in the moments around its end."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from contracts import ids
from contracts.agent_workers import SendMessageCommand, SendMessageResponse
from contracts.departments import DeployMessage, DeployResult
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import UpdateName
from contracts.states import DeployAction, ProjectStatus, ReleaseState, TaskState
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40
SOON_S = 10


async def ended(world: World, workflow_id: str) -> BaseException | None:
    """How the run ended: None when well, else the cause."""
    try:
        await within(world.handle(workflow_id).result(), SOON_S)
    except WorkflowFailureError as failure:
        return failure.cause
    return None


async def deploying(world: World, **changes: object) -> tuple[DeployMessage, str]:
    """A deploy whose release program runs."""
    world.target.step = Step(held=True)
    message = world.deploy(**changes)
    started = await world.gateway.start_deploy(message)
    await world.target.step.reached()
    return message, started.workflow_id


def outcome_of(world: World, message: DeployMessage) -> "asyncio.Task[DeployResult]":
    """What a delivery does that found a deploy running: it waits for the outcome of its message."""
    update = world.deploy_handle().execute_update(
        UpdateName.OUTCOME, message, id=message.request_id, result_type=DeployResult
    )
    return asyncio.create_task(update)


async def updates_taken(world: World, workflow_id: str, count: int) -> bool:
    history = await world.handle(workflow_id).fetch_history()
    accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return sum(event.event_type == accepted for event in history.events) >= count


def statuses(world: World, task_id: str) -> list[ProjectStatus]:
    return [p.project_status for p in world.platform.of(task_id) if p.project_status]


async def test_whoever_had_joined_a_cancelled_deploy_is_told(world: World) -> None:
    _, workflow_id = await deploying(world, commit=A)
    joined = outcome_of(world, world.deploy(commit=A))
    later = outcome_of(world, world.deploy(commit=B))
    await eventually(lambda: updates_taken(world, workflow_id, 2))
    await world.gateway.cancel(workflow_id)
    assert isinstance(await ended(world, workflow_id), CancelledError)
    for waiting in (joined, later):
        with pytest.raises(WorkflowUpdateFailedError):
            await within(waiting, SOON_S)


async def test_a_revert_that_fails_still_ends_the_task_and_serves_the_queue(world: World) -> None:
    world.target.revert_error = OrchestratorError(ErrorCode.PLAYBOOK_FAILED, "the disk is full")
    message, workflow_id = await deploying(world, commit=A)
    world.target.broken.add(A)
    later = world.deploy(commit=B)
    await world.gateway.start_deploy(later)
    world.target.step.released.set()
    assert await ended(world, workflow_id) is not None
    last = world.platform.of(message.task_id)[-1]
    assert last.state is TaskState.FAILED
    assert "the disk is full" in str(last.error)
    assert "still running" not in str(last.error)
    assert world.platform.state(later.task_id) is TaskState.COMPLETED


async def test_a_revert_that_fails_after_a_cancel_still_ends_everything(world: World) -> None:
    world.target.revert_error = OrchestratorError(ErrorCode.PLAYBOOK_FAILED, "the disk is full")
    world.target.probe_step = Step(held=True)
    message = world.deploy(commit=A)
    workflow_id = (await world.gateway.start_deploy(message)).workflow_id
    await world.target.probe_step.reached()
    later = world.deploy(commit=B)
    await world.gateway.start_deploy(later)
    await world.gateway.cancel(workflow_id)
    assert isinstance(await ended(world, workflow_id), CancelledError)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.platform.state(later.task_id) is TaskState.CANCELLED
    assert "the disk is full" in str(world.platform.of(message.task_id)[-1].milestone)


@pytest.mark.parametrize("recorded", [True, False])
async def test_what_a_cancel_has_removed_from_the_server_is_not_looked_for_again(world: World, recorded: bool) -> None:
    message, workflow_id = await deploying(world, commit=A)
    if not recorded:
        world.platform.record_errors[ReleaseState.PENDING] = OrchestratorError(ErrorCode.API_UNREACHABLE, "away")
    await world.gateway.cancel(workflow_id)
    assert isinstance(await ended(world, workflow_id), CancelledError)
    release = ids.release_id_for_task(message.task_id)
    assert world.target.stopped == [release]
    assert [verdict.release_id for verdict in world.target.reverted] == ([] if recorded else [release])
    assert world.platform.books[release].state is ReleaseState.FAILED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def has_heard_of_the_cancel(world: World, workflow_id: str) -> bool:
    history = await world.handle(workflow_id).fetch_history()
    types = [event.event_type for event in history.events]
    asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return asked in types and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in types[types.index(asked) :]


async def cancelled_in_the_middle(world: World, workflow_id: str, step: Step) -> BaseException | None:
    """Cancel while `step` is held, and let it go once the workflow has heard of it."""
    await step.reached()
    await world.gateway.cancel(workflow_id)
    await eventually(lambda: has_heard_of_the_cancel(world, workflow_id))
    step.released.set()
    return await ended(world, workflow_id)


def final_states(world: World, task_id: str) -> set[TaskState]:
    return {p.state for p in world.platform.of(task_id) if p.state.is_final}


async def test_a_cancel_comes_too_late_once_the_release_is_recorded_as_live(world: World) -> None:
    world.platform.slow_state, world.platform.step = TaskState.COMPLETED, Step(held=True)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    assert await cancelled_in_the_middle(world, started.workflow_id, world.platform.step) is None
    assert final_states(world, message.task_id) == {TaskState.COMPLETED}


async def test_a_cancel_comes_too_late_once_engineering_has_published(world: World) -> None:
    world.platform.slow_state, world.platform.step = TaskState.COMPLETED, Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    assert await cancelled_in_the_middle(world, started.workflow_id, world.platform.step) is None
    assert final_states(world, message.task_id) == {TaskState.COMPLETED}


async def test_a_cancel_while_the_agents_commits_are_pushed_lets_the_push_end_and_publishes_nothing(
    world: World,
) -> None:
    world.workspaces.push_step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    ending = await cancelled_in_the_middle(world, started.workflow_id, world.workspaces.push_step)
    assert isinstance(ending, CancelledError)
    assert final_states(world, message.task_id) == {TaskState.CANCELLED}
    assert world.workspaces.removed == [message.task_id]
    assert world.forge.effects["publish"] == 0


async def test_a_cancel_while_a_failure_is_written_leaves_it_written(world: World) -> None:
    world.platform.slow_state, world.platform.step = TaskState.FAILED, Step(held=True)
    world.target.broken.add(A)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await cancelled_in_the_middle(world, started.workflow_id, world.platform.step)
    assert final_states(world, message.task_id) == {TaskState.FAILED}


async def test_a_cancel_during_the_promotion_leaves_books_and_server_agreed(world: World) -> None:
    await world.gateway.start_deploy(world.deploy(commit=A))
    await ended(world, world.deploy_handle().id)
    world.platform.record_step = Step(held=True)
    message = world.deploy(commit=B)
    started = await world.gateway.start_deploy(message)
    await cancelled_in_the_middle(world, started.workflow_id, world.platform.record_step)
    active = [release.id for release in world.platform.books.values() if release.state is ReleaseState.ACTIVE]
    assert active == [world.target.serving]
    live = world.target.serving == ids.release_id_for_task(message.task_id)
    assert final_states(world, message.task_id) == {TaskState.COMPLETED if live else TaskState.CANCELLED}


async def test_a_cancel_during_the_allocation_leaves_no_pending_release(world: World) -> None:
    world.platform.allocation_step = Step(held=True)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    outcome = await cancelled_in_the_middle(world, started.workflow_id, world.platform.allocation_step)
    assert isinstance(outcome, CancelledError)
    assert [release.state for release in world.platform.books.values()] == [ReleaseState.FAILED]


async def test_a_rollback_whose_promotion_breaks_off_leaves_books_and_server_agreed(world: World) -> None:
    for commit in (A, B):
        await world.gateway.start_deploy(world.deploy(commit=commit))
        await ended(world, world.deploy_handle().id)
    world.platform.record_errors[ReleaseState.ROLLED_BACK] = OrchestratorError(ErrorCode.CONFLICT, "no")
    await world.gateway.start_deploy(world.deploy(action=DeployAction.ROLLBACK))
    await ended(world, world.deploy_handle().id)
    active = [release.id for release in world.platform.books.values() if release.state is ReleaseState.ACTIVE]
    assert active == [world.target.serving]


async def test_a_cancelled_first_deploy_does_not_leave_the_project_deploying(world: World) -> None:
    message, workflow_id = await deploying(world, commit=A)
    await world.gateway.cancel(workflow_id)
    await ended(world, workflow_id)
    assert statuses(world, message.task_id) == [ProjectStatus.DEPLOYING, ProjectStatus.SCAFFOLDED]


@pytest.mark.parametrize("action", [DeployAction.ROLLBACK, DeployAction.STOP])
async def test_a_request_that_could_change_nothing_says_nothing_of_the_project(
    world: World, action: DeployAction
) -> None:
    message = world.deploy(action=action)
    started = await world.gateway.start_deploy(message)
    assert await ended(world, started.workflow_id) is not None
    assert world.platform.state(message.task_id) is TaskState.FAILED
    assert statuses(world, message.task_id) == []


async def test_a_conflict_at_the_forge_is_a_failure_like_any_other(world: World) -> None:
    world.forge.read_error = OrchestratorError(ErrorCode.CONFLICT, "This repository is not ours.")
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    await ended(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.FAILED


async def test_a_cancel_during_an_operation_lets_it_finish(world: World) -> None:
    await world.gateway.start_deploy(world.deploy(commit=A))
    await ended(world, world.deploy_handle().id)
    world.target.operate_step = Step(held=True)
    started = await world.gateway.start_deploy(world.deploy(action=DeployAction.REMOVE))
    await cancelled_in_the_middle(world, started.workflow_id, world.target.operate_step)
    assert world.target.operations == ["remove"]
    assert [release.state for release in world.platform.books.values()] == [ReleaseState.REMOVED]


async def test_a_workspace_that_cannot_be_removed_does_not_undo_what_was_published(world: World) -> None:
    world.workspaces.remove_error = OrchestratorError(ErrorCode.GIT_FAILED, "busy")
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    assert await ended(world, started.workflow_id) is None
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_the_reason_why_an_agent_worker_could_not_start_reaches_people(world: World) -> None:
    world.workspaces.prepare_error = OrchestratorError(ErrorCode.GIT_FAILED, "the branch cannot be cloned")
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await ended(world, started.workflow_id)
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.GIT_FAILED)
    assert "cannot be cloned" in str(last.error)


async def test_an_agent_worker_that_has_failed_says_why_while_it_tidies_up(world: World) -> None:
    """Whoever cancels it then, because it takes no messages, would make its end look like a cancellation."""
    world.workspaces.prepare_error = OrchestratorError(ErrorCode.GIT_FAILED, "the branch cannot be cloned")
    world.workspaces.remove_step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.workspaces.remove_step.reached()
    late = SendMessageCommand(request_id=uuid4().hex, worker_id=message.task_id, message="one more")
    with pytest.raises(OrchestratorError) as refused:
        await within(world.workflow_client.send_message(late), SOON_S)
    assert refused.value.code is ErrorCode.GIT_FAILED
    world.workspaces.remove_step.released.set()
    await ended(world, started.workflow_id)
    assert world.platform.of(message.task_id)[-1].error_code == ErrorCode.GIT_FAILED


async def test_an_agent_worker_that_is_being_cancelled_takes_no_more_messages(world: World) -> None:
    world.runtime.step = Step(held=True)
    world.workspaces.remove_step = Step(held=True)
    message = world.engineering()
    await world.gateway.start_engineering(message)
    await world.runtime.step.reached()
    worker = world.handle(ids.agent_worker_workflow_id(message.task_id))
    await worker.cancel()
    await world.workspaces.remove_step.reached()
    late = SendMessageCommand(request_id=uuid4().hex, worker_id=message.task_id, message="one more")
    sent = worker.execute_update(UpdateName.SEND_MESSAGE, late, id=late.request_id, result_type=SendMessageResponse)
    with pytest.raises(WorkflowUpdateFailedError):
        await within(sent, SOON_S)
    world.workspaces.remove_step.released.set()
    assert isinstance(await ended(world, worker.id), CancelledError)


async def test_an_agent_worker_that_is_deleted_stops_its_turn_and_tells_who_waits(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.runtime.step.reached()
    await world.workflow_client.delete_worker(message.task_id, uuid4().hex)
    assert await ended(world, started.workflow_id) is not None
    await ended(world, ids.agent_worker_workflow_id(message.task_id))
    assert world.runtime.step.stopped.is_set()
    assert world.workspaces.removed == [message.task_id]
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.WORKFLOW_NOT_RUNNING)


async def test_a_removal_that_is_done_again_after_a_crash_finds_it_done(world: World) -> None:
    await world.gateway.start_deploy(world.deploy(commit=A))
    await ended(world, world.deploy_handle().id)
    lost = OrchestratorError(ErrorCode.API_UNREACHABLE, "lost on the way", error_class=ErrorClass.TRANSIENT)
    world.platform.lost_replies[ReleaseState.REMOVED] = lost
    message = world.deploy(action=DeployAction.REMOVE)
    started = await world.gateway.start_deploy(message)
    assert await ended(world, started.workflow_id) is None
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_declined_approval_touches_nothing_that_serves(world: World) -> None:
    await world.gateway.start_deploy(world.deploy(commit=A))
    await ended(world, world.deploy_handle().id)
    message = world.deploy(commit=B, require_approval=True)
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await world.answer(started.workflow_id, question, "stop")
    assert await ended(world, started.workflow_id) is not None
    assert world.target.reverted == []
    assert world.platform.books[ids.release_id_for_task(message.task_id)].state is ReleaseState.FAILED
