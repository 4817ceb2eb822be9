"""What waits behind a running deploy: seen, never done twice, and withdrawn when it is not wanted any more."""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.langgraph._interceptor import _workflow_graphs

from contracts import ids
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40
SOON_S = 15


async def test_what_waits_is_seen_as_queued(world: World) -> None:
    world.target.step = Step(held=True)
    first = await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    waiting = world.deploy(commit=B)
    await world.gateway.start_deploy(waiting)
    await eventually(lambda: world.platform.state(waiting.task_id) is TaskState.QUEUED)
    world.target.step.released.set()
    await world.handle(first.workflow_id).result()
    assert world.platform.state(waiting.task_id) is TaskState.COMPLETED
    assert world.platform.refusals == 0


async def test_a_request_that_is_repeated_while_another_runs_is_not_done_again(world: World) -> None:
    message = world.deploy(commit=A)
    world.target.step = Step(held=True)
    first = await world.gateway.start_deploy(message)
    await world.target.step.reached()
    later = world.deploy(commit=B)
    await world.gateway.start_deploy(later)
    step, world.target.step = world.target.step, Step(held=True)
    step.released.set()
    await world.target.step.reached()
    again = await world.gateway.start_deploy(message)
    assert (again.task_id, again.queued) == (message.task_id, False)
    world.target.step.released.set()
    await world.handle(first.workflow_id).result()
    assert world.target.serving == ids.release_id_for_task(later.task_id)
    assert len(world.target.released) == 2


async def test_an_instance_that_ends_late_takes_no_graph_from_its_successor(world: World) -> None:
    """As one does that was evicted: it ends when its remains are collected, after the run has been built up again."""
    world.target.step = Step(held=True)
    await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    later = world.deploy(commit=B)
    await world.gateway.start_deploy(later)
    await eventually(lambda: world.platform.state(later.task_id) is TaskState.QUEUED)
    _workflow_graphs.pop((await world.deploy_handle().describe()).run_id)
    world.target.step.released.set()
    await eventually(lambda: world.platform.state(later.task_id) is TaskState.COMPLETED, timeout=SOON_S)
    events = (await world.deploy_handle().fetch_history()).events
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in [one.event_type for one in events]


async def test_an_answer_to_an_earlier_task_of_the_run_is_told_that_it_is_closed(world: World) -> None:
    first = world.deploy(commit=A, require_approval=True)
    started = await world.gateway.start_deploy(first)
    question = await world.question(first.task_id)
    world.target.step = Step(held=True)
    await world.gateway.start_deploy(world.deploy(commit=B))
    await world.answer(started.workflow_id, question, "stop")
    await world.target.step.reached()
    refused = await world.answer(started.workflow_id, question, "approve")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_CLOSED
    world.target.step.released.set()
    await eventually(lambda: closed(world))


async def closed(world: World) -> bool:
    return (await world.deploy_handle().describe()).status is not WorkflowExecutionStatus.RUNNING


async def test_a_cancelled_delivery_takes_its_deploy_out_of_the_queue(world: World) -> None:
    world.target.step = Step(held=True)
    other = await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    await eventually(lambda: world.platform.state(deploy_task) is TaskState.QUEUED, timeout=SOON_S)
    await world.gateway.cancel(started.workflow_id)
    await eventually(lambda: world.platform.state(message.task_id) is TaskState.CANCELLED)
    assert world.platform.state(deploy_task) is TaskState.CANCELLED
    world.target.step.released.set()
    await world.handle(other.workflow_id).result()
    assert len(world.target.released) == 1


async def test_a_cancelled_delivery_stops_its_deploy_that_runs_under_another(world: World) -> None:
    world.target.step = Step(held=True)
    await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    await eventually(lambda: world.platform.state(deploy_task) is TaskState.QUEUED, timeout=SOON_S)
    first, world.target.step = world.target.step, Step(held=True)
    first.released.set()
    await world.target.step.reached()
    await world.gateway.cancel(started.workflow_id)
    await eventually(lambda: world.platform.state(message.task_id) is TaskState.CANCELLED)
    assert world.target.step.stopped.is_set()
    assert world.platform.state(deploy_task) is TaskState.CANCELLED


async def test_a_delivery_whose_deploy_ends_before_it_could_join_starts_its_own(world: World) -> None:
    world.target.step = Step(held=True)
    await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    world.workflow_client.join_step = Step(held=True)
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await world.workflow_client.join_step.reached()
    world.target.step.released.set()
    await eventually(lambda: closed(world))
    world.workflow_client.join_step.released.set()
    await within(world.handle(started.workflow_id).result(), SOON_S)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    assert world.target.serving == ids.release_id_for_task(deploy_task)


async def test_a_withdrawal_from_outside_leaves_what_waits_behind_it_its_turn(world: World) -> None:
    first, waiting = world.deploy(commit=A), world.deploy(commit=B)
    world.target.step = Step(held=True)
    started = await world.gateway.start_deploy(first)
    await world.target.step.reached()
    await world.gateway.start_deploy(waiting)
    step, world.target.step = world.target.step, Step()
    for _ in range(2):
        await world.gateway.withdraw_deploy(ids.deploy_workflow_id(world.slug), first)
    step.released.set()
    await eventually(lambda: world.platform.state(first.task_id) is TaskState.CANCELLED, timeout=SOON_S)
    await eventually(lambda: world.platform.state(waiting.task_id) is TaskState.COMPLETED, timeout=SOON_S)
    assert world.target.serving == ids.release_id_for_task(waiting.task_id)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
