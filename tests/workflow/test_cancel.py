"""Cancel along the edges of the architecture's diagram: it stops the outside thing, and is confirmed upwards.

Steps that a cancel lets finish are in `test_endings.py`, deploys that wait or join in `test_deploy_queue.py`.
"""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.states import QuestionState, TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.fakes import Step
from tests.support.workflow_world import World

CONFIRMED_WITHIN_S = 10


async def cancelled(world: World, workflow_id: str) -> None:
    """Cancel and wait for the confirmation; ten seconds are promised."""
    await world.gateway.cancel(workflow_id)
    with pytest.raises(WorkflowFailureError) as ended:
        await asyncio.wait_for(world.handle(workflow_id).result(), CONFIRMED_WITHIN_S)
    assert isinstance(ended.value.cause, CancelledError)


async def status(world: World, workflow_id: str) -> WorkflowExecutionStatus | None:
    return (await world.handle(workflow_id).describe()).status


async def test_during_the_agents_turn(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await asyncio.wait_for(world.runtime.step.started.wait(), 15)
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
    await asyncio.wait_for(world.tester.step.started.wait(), 15)
    await cancelled(world, started.workflow_id)
    assert world.tester.step.stopped.is_set()
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.forge.effects["publish"] == 0


async def test_while_a_person_is_asked(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await eventually(lambda: world.platform.open_question(message.task_id), timeout=15)
    await cancelled(world, started.workflow_id)
    last_question = [p.question for p in world.platform.of(message.task_id) if p.question][-1]
    assert last_question.state is QuestionState.WITHDRAWN
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_during_the_scaffold(world: World) -> None:
    world.forge.scaffold_step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await asyncio.wait_for(world.forge.scaffold_step.started.wait(), 15)
    await world.gateway.cancel(started.workflow_id)
    world.forge.scaffold_step.released.set()
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(world.handle(started.workflow_id).result(), CONFIRMED_WITHIN_S)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.runtime.turns == []


async def test_during_the_playbook_the_previous_release_serves_on(world: World) -> None:
    first = await world.gateway.start_deploy(world.deploy())
    await world.handle(first.workflow_id).result()
    serving = world.target.serving
    world.target.step = Step(held=True)
    message = world.deploy()
    await world.gateway.start_deploy(message)
    await asyncio.wait_for(world.target.step.started.wait(), 15)
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
    await asyncio.wait_for(world.target.probe_step.started.wait(), 15)
    await cancelled(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.target.serving is None


async def test_while_a_secret_is_asked_for(world: World) -> None:
    world.plans.user_secrets = ["TELEGRAM_BOT_TOKEN"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    await eventually(lambda: world.platform.open_question(message.task_id), timeout=15)
    await cancelled(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert world.target.released == []


async def test_of_a_delivery_reaches_the_agent(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await asyncio.wait_for(world.runtime.step.started.wait(), 15)
    await cancelled(world, started.workflow_id)
    assert world.runtime.step.stopped.is_set()
    engineering = ids.child_task_id(message.task_id, TaskKind.ENGINEERING)
    assert world.platform.state(engineering) is TaskState.CANCELLED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_of_a_delivery_reaches_the_playbook(world: World) -> None:
    world.target.step = Step(held=True)
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await asyncio.wait_for(world.target.step.started.wait(), 15)
    await cancelled(world, started.workflow_id)
    assert world.target.step.stopped.is_set()
    assert await status(world, ids.deploy_workflow_id(world.project_id)) is WorkflowExecutionStatus.CANCELED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_of_a_deploy_reaches_what_waits_behind_it(world: World) -> None:
    world.target.step = Step(held=True)
    running, waiting = world.deploy(commit="a" * 40), world.deploy(commit="b" * 40)
    started = await world.gateway.start_deploy(running)
    await asyncio.wait_for(world.target.step.started.wait(), 15)
    assert (await world.gateway.start_deploy(waiting)).queued
    await cancelled(world, started.workflow_id)
    assert world.platform.state(running.task_id) is TaskState.CANCELLED
    assert world.platform.state(waiting.task_id) is TaskState.CANCELLED
