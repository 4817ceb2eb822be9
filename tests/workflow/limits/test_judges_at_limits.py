"""A model's limit stops who plans, or who writes checks: the task parks, and nothing that is finished is done again."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.departments import EngineeringMessage
from contracts.models import ModelLimit
from contracts.nouns import StartedTask
from contracts.planning import Judge
from contracts.states import AgentKind, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.workflow_world import World
from tests.workflow.limits.test_retries import LOST, going_on

WISH = "A notes service: title, text. Never show passwords"
SPENT = ModelLimit(kind="budget", scope="task", scope_id="eng-1", spent_usd=5.0, limit_usd=5.0, message="$5 are spent")
KEY = ModelLimit(kind="auth", account="anthropic", message="invalid x-api-key")
WINDOW = ModelLimit(kind="window", account="anthropic", message="used up")


def asking(world: World, **changes: object) -> EngineeringMessage:
    world.planner.clauses = [WISH]
    spec = {"name": "notes", "description": WISH}
    return world.engineering(**{"acceptance": "binding", "spec": spec, "agent": AgentKind.CLAUDE_CODE} | changes)


async def parked(world: World, message: EngineeringMessage) -> tuple[StartedTask, str]:
    started = await world.gateway.start_engineering(message)
    return started, await world.question(message.task_id)


async def completed(world: World, started: StartedTask) -> None:
    await world.handle(started.workflow_id).result()
    assert world.platform.state(started.task_id) is TaskState.COMPLETED


async def failed(world: World, message: EngineeringMessage) -> None:
    started = await world.gateway.start_engineering(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()


def attempts(judges: list[Judge]) -> list[tuple[int, str]]:
    return [(judge.attempt, judge.agent.value) for judge in judges]


async def test_a_planner_at_a_spent_budget_asks_and_plans_with_turns_of_its_own_after_a_raise(world: World) -> None:
    world.planner.limits = [SPENT]
    started, question = await parked(world, asking(world))
    assert world.runtime.turns == [], "nobody builds before it is said what done means"
    await world.answer(started.workflow_id, question, "+5 USD")
    await completed(world, started)
    assert [one.add_usd for one in world.platform.raised.values()] == [5.0]
    assert attempts([one.judge for one in world.planner.asked]) == [(0, "claude-code"), (1, "claude-code")]
    assert len(world.runtime.turns) == 1


async def test_a_writer_of_checks_at_a_limit_asks_and_neither_agent_nor_tests_run_again(world: World) -> None:
    world.check_writer.limits = [KEY]
    started, question = await parked(world, asking(world))
    assert (len(world.runtime.turns), len(world.tester.verified)) == (1, 1)
    await world.answer(started.workflow_id, question, "retry")
    await completed(world, started)
    assert (len(world.runtime.turns), len(world.tester.verified), len(world.planner.asked)) == (1, 1, 1)
    assert attempts([one.judge for one in world.check_writer.written])[::2] == [(0, "claude-code"), (1, "claude-code")]


async def test_another_agent_judges_instead_and_the_developer_stays_who_it_is(world: World) -> None:
    world.check_writer.limits = [WINDOW]
    started = await world.gateway.start_engineering(asking(world, fallback_agents=[AgentKind.CODEX]))
    await completed(world, started)
    assert [one.judge.agent.value for one in world.check_writer.written][-1] == "codex"
    assert [turn.agent for turn in world.runtime.turns] == [AgentKind.CLAUDE_CODE]
    told = [p.milestone.message for p in world.platform.of(started.task_id) if p.milestone]
    assert "codex takes over from claude-code, and does this step from its beginning." in told


async def test_a_reviewer_at_a_limit_is_replaced_and_nothing_else_is_done_again(world: World) -> None:
    world.reviewer.limits = [WINDOW]
    message = asking(world, review="binding", fallback_agents=[AgentKind.CODEX])
    started = await world.gateway.start_engineering(message)
    await completed(world, started)
    assert attempts([one.judge for one in world.reviewer.asked]) == [(0, "claude-code"), (1, "codex")]
    assert (len(world.runtime.turns), len(world.tester.verified), len(world.planner.asked)) == (1, 1, 1)


async def test_stop_at_a_planners_limit_ends_the_task_and_a_retry_plans_then(world: World) -> None:
    world.planner.limits = [KEY]
    message = asking(world)
    started, question = await parked(world, message)
    await world.answer(started.workflow_id, question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    await completed(world, await world.gateway.start_engineering(going_on(world, message)))
    assert len(world.planner.asked) == 2


async def test_a_cancel_while_the_planner_waits_leaves_nothing_running(world: World) -> None:
    world.planner.limits = [KEY]
    started, _ = await parked(world, asking(world))
    await world.gateway.cancel(started.workflow_id)
    await eventually(lambda: world.platform.state(started.task_id) is TaskState.CANCELLED, timeout=15)


async def test_a_retry_takes_the_plan_and_its_approval_over(world: World) -> None:
    world.runtime.scripts = [LOST]
    message = asking(world, plan_approval="ask")
    started, question = await parked(world, message)
    await world.answer(started.workflow_id, question, "approve")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    await completed(world, await world.gateway.start_engineering(going_on(world, message)))
    assert len(world.planner.asked) == 1, "nothing about the wish was changed"


async def test_a_retry_of_a_retry_still_finds_the_plan(world: World) -> None:
    world.runtime.scripts = [LOST, LOST]
    message = asking(world)
    await failed(world, message)
    second = going_on(world, message)
    await failed(world, second)
    await completed(world, await world.gateway.start_engineering(going_on(world, second)))
    assert len(world.planner.asked) == 1


async def test_checks_that_were_written_are_written_once_for_all_attempts(world: World) -> None:
    world.check_writer.guesses = True
    world.acceptance.misses = [{"notes"}, {"notes"}]
    message = asking(world, max_rounds=1)
    started, question = await parked(world, message)
    await world.answer(started.workflow_id, question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    written = len(world.check_writer.written)
    await completed(world, await world.gateway.start_engineering(going_on(world, message)))
    assert len(world.planner.asked) == 1
    assert len(world.check_writer.written) <= written + 1


async def test_advice_plans_anew(world: World) -> None:
    world.runtime.scripts = [LOST]
    message = asking(world)
    await failed(world, message)
    again = going_on(world, message, advice="Passwords are hashed.")
    assert again.task_id == ids.retry_task_id(message.task_id)
    await completed(world, await world.gateway.start_engineering(again))
    assert len(world.planner.asked) == 2
