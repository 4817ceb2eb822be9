"""Who divides parks at a limit, too; and whoever judges ends with the task, however it ends."""

from collections.abc import Iterator

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.departments import DeliveryMessage
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.states import AgentKind, QuestionKind, TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World
from tests.workflow.limits.test_judges_at_limits import KEY, SPENT, WINDOW, asking, attempts, parked
from tests.workflow.parts.test_parts import PARTS, large
from workers import interceptors

AWAY = OrchestratorError(ErrorCode.AGENT_LOST, "The engine does not answer.", error_class=ErrorClass.TRANSIENT)


@pytest.fixture
def long_pauses() -> Iterator[None]:
    """A step that has failed is not tried again within the test: a cancel meets nobody."""
    with pytest.MonkeyPatch.context() as paces:
        paces.setattr(interceptors, "_jittered", lambda seconds: 600.0)
        yield


def dividing(world: World, **changes: object) -> DeliveryMessage:
    return large(world, **{"agent": AgentKind.CLAUDE_CODE} | changes)


async def ended(world: World, workflow_id: str) -> None:
    with pytest.raises(WorkflowFailureError):
        await world.handle(workflow_id).result()


async def waits_for_its_second_try(world: World, workflow_id: str) -> bool:
    """Whether nobody works on the step that is under way."""
    found = (await world.handle(workflow_id).describe()).raw_description.pending_activities
    return any(one.attempt > 1 for one in found)


async def test_who_divides_at_a_spent_budget_asks_and_the_work_is_divided_after_a_raise(world: World) -> None:
    world.planner.limits = [SPENT]
    message = dividing(world)
    started = await world.gateway.start_delivery(message)
    question = await world.question(message.task_id)
    (asked,) = [p.question for p in world.platform.of(message.task_id) if p.question and p.question.id == question]
    assert (asked.kind, asked.workflow_id) == (QuestionKind.BUDGET, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.WAITING
    await world.answer(started.workflow_id, question, "+5 USD")
    await world.handle(started.workflow_id).result()
    assert attempts([one.judge for one in world.planner.divided]) == [(0, "claude-code"), (1, "claude-code")]
    assert [part.state.value for part in world.platform.of(message.task_id)[-1].parts] == ["completed"] * len(PARTS)


async def test_another_agent_divides_instead_and_builds_nothing(world: World) -> None:
    world.planner.limits = [WINDOW]
    message = dividing(world, fallback_agents=[AgentKind.CODEX])
    await world.handle((await world.gateway.start_delivery(message)).workflow_id).result()
    assert attempts([one.judge for one in world.planner.divided]) == [(0, "claude-code"), (1, "codex")]
    assert {turn.agent for turn in world.runtime.turns} == {AgentKind.CLAUDE_CODE}


async def test_stop_at_the_limit_of_who_divides_cancels_the_delivery_and_leaves_nothing(world: World) -> None:
    world.planner.limits = [KEY]
    message = dividing(world)
    started = await world.gateway.start_delivery(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), "stop")
    await ended(world, started.workflow_id)
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.CANCELLED, ErrorCode.STOPPED_AT_LIMIT)
    assert [judge.task_id for judge in world.planner.stopped] == [message.task_id]
    assert world.runtime.turns == []


async def test_a_cancel_that_nobody_hears_stops_who_divides(world: World, long_pauses: None) -> None:
    world.planner.lost = AWAY
    message = dividing(world)
    started = await world.gateway.start_delivery(message)
    await eventually(lambda: waits_for_its_second_try(world, started.workflow_id), timeout=15)
    await world.gateway.cancel(started.workflow_id)
    await ended(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert [judge.task_id for judge in world.planner.stopped] == [message.task_id]


async def test_a_cancel_that_nobody_hears_stops_who_plans(world: World, long_pauses: None) -> None:
    world.planner.lost = AWAY
    message = asking(world, acceptance="off", plan_approval="ask")
    started = await world.gateway.start_engineering(message)
    await eventually(lambda: waits_for_its_second_try(world, started.workflow_id), timeout=15)
    await world.gateway.cancel(started.workflow_id)
    await ended(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert [judge.task_id for judge in world.planner.stopped] == [message.task_id]


async def test_a_failure_of_a_planner_leaves_nothing_of_it(world: World) -> None:
    world.planner.lost = OrchestratorError(ErrorCode.AGENT_FAILED, "The image is broken.")
    message = asking(world)
    await ended(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert world.platform.state(message.task_id) is TaskState.FAILED
    assert [judge.task_id for judge in world.planner.stopped] == [message.task_id]


async def test_stop_at_the_limit_of_a_planner_leaves_nothing_of_it(world: World) -> None:
    world.planner.limits = [KEY]
    started, question = await parked(world, asking(world))
    await world.answer(started.workflow_id, question, "stop")
    await ended(world, started.workflow_id)
    assert [judge.attempt for judge in world.planner.stopped] == [1]


async def test_the_script_leaves_nothing_and_nothing_is_stopped(world: World) -> None:
    world.planner.dividing = Step(held=True)
    message = dividing(world, agent=AgentKind.SCRIPTED)
    started = await world.gateway.start_delivery(message)
    await world.planner.dividing.reached()
    world.planner.dividing.released.set()
    world.planner.lost = OrchestratorError(ErrorCode.AGENT_FAILED, "broken")
    await ended(world, started.workflow_id)
    assert world.planner.stopped == []
    assert world.platform.state(ids.child_task_id(message.task_id, TaskKind.ENGINEERING)) is None
