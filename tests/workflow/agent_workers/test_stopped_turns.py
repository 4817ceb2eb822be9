"""A person stops the turn of a task's agent, not the task: the person is asked how it goes on."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.errors import ErrorCode
from contracts.states import TaskState
from contracts.worker_steps import TurnLeft
from tests.support.workflows.fakes import Step, sha
from tests.support.workflows.workflow_world import World
from tests.workflow.agent_workers.test_agent_worker_turns import stopped
from tests.workflow.test_engineering import result_of


@pytest.mark.parametrize("ends_by_itself", [True, False])
async def test_a_stopped_turn_asks_and_its_work_is_neither_tested_nor_lost(world: World, ends_by_itself: bool) -> None:
    world.runtime.takes_controls = ends_by_itself
    world.runtime.left = TurnLeft(session_id="session-1")
    world.runtime.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.runtime.step.reached()
    worker = ids.worker_id_for_task(message.task_id)
    assert (await stopped(world.handle(ids.agent_worker_workflow_id(worker)), worker)).turn == 1
    question = await world.question(message.task_id)
    asked = next(p.question for p in reversed(world.platform.of(message.task_id)) if p.question)
    assert (asked.wording and asked.wording.name, asked.choices) == ("turn-stopped", ["retry", "stop"])
    assert world.tester.verified == []
    world.runtime.step = Step()
    await world.answer(started.workflow_id, question, "use a table")
    result = await result_of(world, started.workflow_id)
    assert "use a table" in world.runtime.turns[1].message
    assert world.runtime.turns[1].session_id, "it goes on in its session"
    assert world.tester.verified == [result.commit_sha] == [sha(f"turn-{worker}-2")]


async def test_a_task_whose_turn_was_stopped_can_be_stopped_by_the_same_person(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.runtime.step.reached()
    worker = ids.worker_id_for_task(message.task_id)
    await stopped(world.handle(ids.agent_worker_workflow_id(worker)), worker)
    await world.answer(started.workflow_id, await world.question(message.task_id), "stop")
    with pytest.raises(WorkflowFailureError) as failed:
        await world.handle(started.workflow_id).result()
    assert failed.value.cause.type == ErrorCode.STOPPED_BY_PERSON
    assert world.platform.state(message.task_id) is TaskState.FAILED
    assert world.tester.verified == []
