"""Cancel along the edges of the architecture's diagram: it stops the outside thing, and is confirmed upwards.

Steps that a cancel lets finish are in `test_endings.py`, deploys that wait or join in `test_deploy_queue.py`.
"""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.states import QuestionState, TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.patience import promised, within
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

CONFIRMED_WITHIN_S = 10


async def cancelled(world: World, workflow_id: str) -> None:
    """Cancel, and wait until it is confirmed."""
    await world.gateway.cancel(workflow_id)
    await confirmed(world, workflow_id)


async def confirmed(world: World, workflow_id: str) -> None:
    """The run has ended as cancelled, by the server's own record as soon as is promised."""
    with pytest.raises(WorkflowFailureError) as ended:
        await within(world.handle(workflow_id).result(), CONFIRMED_WITHIN_S)
    assert isinstance(ended.value.cause, CancelledError)
    events = (await world.handle(workflow_id).fetch_history()).events
    asked = next(one for one in events if one.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
    took = events[-1].event_time.ToDatetime() - asked.event_time.ToDatetime()
    assert took.total_seconds() <= promised(CONFIRMED_WITHIN_S)


async def status(world: World, workflow_id: str) -> WorkflowExecutionStatus | None:
    return (await world.handle(workflow_id).describe()).status


async def test_during_the_agents_turn(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.runtime.step.reached()
    await cancelled(world, started.workflow_id)
    assert world.runtime.step.stopped.is_set()
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    worker = ids.agent_worker_workflow_id(message.task_id)
    assert await status(world, worker) is WorkflowExecutionStatus.CANCELED
    assert world.workspaces.removed == [message.task_id]


async def test_during_the_tests(world: World) -> None:
    world.tester.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.tester.step.reached()
    await cancelled(world, started.workflow_id)
    assert world.tester.step.stopped.is_set()
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.forge.effects["publish"] == 0


async def test_while_a_person_is_asked(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.question(message.task_id)
    await cancelled(world, started.workflow_id)
    last_question = [p.question for p in world.platform.of(message.task_id) if p.question][-1]
    assert last_question.state is QuestionState.WITHDRAWN
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_during_the_scaffold(world: World) -> None:
    world.forge.scaffold_step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.forge.scaffold_step.reached()
    await world.gateway.cancel(started.workflow_id)
    world.forge.scaffold_step.released.set()
    await confirmed(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.runtime.turns == []


async def test_during_the_release_run_the_previous_release_keeps_running(world: World) -> None:
    first = await world.gateway.start_deploy(world.deploy())
    await world.handle(first.workflow_id).result()
    serving = world.target.serving
    world.target.step = Step(held=True)
    message = world.deploy()
    await world.gateway.start_deploy(message)
    await world.target.step.reached()
    await cancelled(world, first.workflow_id)
    assert world.target.step.stopped.is_set()
    assert world.target.serving == serving
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    active = [release.id for release in world.platform.books.values() if release.state == "active"]
    assert active == [serving]


async def test_during_the_probe(world: World) -> None:
    world.target.probe_step = Step(held=True)
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    await world.target.probe_step.reached()
    await cancelled(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.target.serving is None


async def test_while_a_secret_is_asked_for(world: World) -> None:
    world.plans.user_secrets = ["TELEGRAM_BOT_TOKEN"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    await world.question(message.task_id)
    await cancelled(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.target.released == []


async def test_of_a_delivery_reaches_the_agent(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await world.runtime.step.reached()
    await cancelled(world, started.workflow_id)
    assert world.runtime.step.stopped.is_set()
    engineering = ids.child_task_id(message.task_id, TaskKind.ENGINEERING)
    assert world.platform.state(engineering) is TaskState.CANCELLED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_of_a_delivery_reaches_the_deploy(world: World) -> None:
    world.target.step = Step(held=True)
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await world.target.step.reached()
    await cancelled(world, started.workflow_id)
    assert world.target.step.stopped.is_set()
    assert await status(world, ids.deploy_workflow_id(world.slug)) is WorkflowExecutionStatus.CANCELED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_of_a_delivery_whose_deploy_asks_ends_both(world: World) -> None:
    message = world.delivery(require_approval=True)
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    await world.question(deploy_task)
    await eventually(lambda: world.platform.state(message.task_id) is TaskState.WAITING)
    await cancelled(world, started.workflow_id)
    assert world.platform.state(deploy_task) is TaskState.CANCELLED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.platform.open_question(deploy_task) is None


async def test_of_a_deploy_reaches_what_waits_behind_it(world: World) -> None:
    world.target.step = Step(held=True)
    running, waiting = world.deploy(commit="a" * 40), world.deploy(commit="b" * 40)
    started = await world.gateway.start_deploy(running)
    await world.target.step.reached()
    assert (await world.gateway.start_deploy(waiting)).queued
    await cancelled(world, started.workflow_id)
    assert world.platform.state(running.task_id) is TaskState.CANCELLED
    assert world.platform.state(waiting.task_id) is TaskState.CANCELLED
