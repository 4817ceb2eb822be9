"""Usage windows of hours, and vendors that are away: the work waits by timers, says until when, and goes on by itself.

Their server's clock jumps to the next timer while nothing else is under way.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.agent_workers import TurnOutcome
from contracts.models import ModelLimit
from contracts.nouns import StartedTask
from contracts.questions import QuestionDTO
from contracts.states import AgentKind, QuestionState, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.temporal_server import running_time_skipping_server
from tests.support.workflows.workflow_world import World, working

HOURS = timedelta(hours=1)


@pytest.fixture(scope="module")
async def clock() -> AsyncIterator[WorkflowEnvironment]:
    async with running_time_skipping_server() as server:
        yield server


@pytest.fixture
async def world(clock: WorkflowEnvironment, options: dict[str, Any], max_cached_workflows: int) -> AsyncIterator[World]:
    world = World(await clock.connect_client(**options))
    async with working(world, max_cached_workflows=max_cached_workflows):
        yield world


async def limited(world: World, clock: WorkflowEnvironment, kind: str, opens_in: timedelta | None, times: int) -> None:
    until = None if opens_in is None else await clock.get_current_time() + opens_in
    limit = ModelLimit.model_validate(
        {"kind": kind, "account": "anthropic", "message": "limit reached", "until": until}
    )
    world.runtime.scripts += [TurnOutcome(status="failed", turn=1, limit=limit)] * times


def questions(world: World, task_id: str) -> list[QuestionDTO]:
    return [p.question for p in world.platform.of(task_id) if p.question]


async def waiting(world: World, **message: object) -> tuple[StartedTask, QuestionDTO]:
    started = await world.gateway.start_engineering(world.engineering(**message))
    await world.question(started.task_id)
    return started, questions(world, started.task_id)[-1]


async def completed(world: World, started: StartedTask) -> None:
    await world.handle(started.workflow_id).result()
    assert world.platform.state(started.task_id) is TaskState.COMPLETED


async def test_a_window_of_two_hours_is_waited_out_and_its_time_is_told(
    world: World, clock: WorkflowEnvironment
) -> None:
    began = await clock.get_current_time()
    await limited(world, clock, "window", 2 * HOURS, 1)
    started, question = await waiting(world)
    assert question.wording is not None
    told = datetime.strptime(f"{question.wording.fields['until']} +0000", "%Y-%m-%d %H:%M:%S UTC %z")
    assert timedelta(seconds=-1) <= told - began - 2 * HOURS < timedelta(minutes=1)
    row = world.platform.of(started.task_id)[-1]
    assert row.state is TaskState.WAITING
    assert question.wording.fields["until"] in str(row.waiting_for)
    await clock.sleep(1.9 * HOURS)
    assert [turn.turn for turn in world.runtime.turns] == [1], "nothing is sent while the window is closed"
    await clock.sleep(0.2 * HOURS)
    await completed(world, started)
    assert [turn.turn for turn in world.runtime.turns] == [1, 2]
    assert questions(world, started.task_id)[-1].state is QuestionState.EXPIRED


async def test_waiting_can_be_cancelled_and_then_only_a_person_goes_on(
    world: World, clock: WorkflowEnvironment
) -> None:
    await limited(world, clock, "window", 2 * HOURS, 1)
    started, question = await waiting(world)
    await world.answer(started.workflow_id, question.id, "hold")
    await eventually(lambda: questions(world, started.task_id)[-1].id != question.id, timeout=15)
    await clock.sleep(5 * HOURS)
    assert len(world.runtime.turns) == 1
    held = questions(world, started.task_id)[-1]
    assert "does not go on by itself" in held.text
    await world.answer(started.workflow_id, held.id, "now")
    await completed(world, started)


async def test_somebody_who_knows_better_goes_on_at_once(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "window", 2 * HOURS, 1)
    started, question = await waiting(world)
    await world.answer(started.workflow_id, question.id, "now")
    await completed(world, started)


async def test_with_the_setting_off_nothing_goes_on_by_itself(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "window", HOURS, 1)
    started, question = await waiting(world, wait_for_limits=False)
    assert "hold" not in question.choices
    await clock.sleep(3 * HOURS)
    assert len(world.runtime.turns) == 1
    await world.answer(started.workflow_id, question.id, "now")
    await completed(world, started)


async def test_an_outage_is_tried_again_with_longer_pauses_and_then_a_person_is_asked(
    world: World, clock: WorkflowEnvironment
) -> None:
    await limited(world, clock, "outage", None, 5)
    started = await world.gateway.start_engineering(world.engineering())
    await clock.sleep(timedelta(minutes=15))
    await world.question(started.task_id)
    assert len(pauses(world, started)) == 4
    assert all("anthropic does not answer; trying again at" in why for why in pauses(world, started))
    question = questions(world, started.task_id)[-1]
    assert (question.choices, len(world.runtime.turns)) == (["retry", "stop"], 5)
    await world.answer(started.workflow_id, question.id, "retry")
    await completed(world, started)


def pauses(world: World, started: StartedTask) -> set[str]:
    said = [p for p in world.platform.of(started.task_id) if p.state is TaskState.WAITING and p.question_id is None]
    return {str(p.waiting_for) for p in said}


async def test_an_outage_hands_over_to_the_next_agent_after_two_tries(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "outage", None, 3)
    message = world.engineering(agent=AgentKind.CLAUDE_CODE, fallback_agents=[AgentKind.CODEX, AgentKind.OPENCODE])
    started = await world.gateway.start_engineering(message)
    await clock.sleep(timedelta(minutes=2))
    await completed(world, started)
    assert [turn.agent.value for turn in world.runtime.turns] == ["claude-code"] * 3 + ["codex"]


async def test_when_every_agent_is_at_its_limit_the_last_one_waits(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "window", 2 * HOURS, 1)
    await limited(world, clock, "window", HOURS, 1)
    started, _ = await waiting(world, agent=AgentKind.CLAUDE_CODE, fallback_agents=[AgentKind.CODEX])
    await clock.sleep(1.1 * HOURS)
    await completed(world, started)
    assert [turn.agent.value for turn in world.runtime.turns] == ["claude-code", "codex", "codex"]


async def test_a_window_that_has_opened_meanwhile_asks_nobody(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "window", timedelta(seconds=-5), 1)
    started = await world.gateway.start_engineering(world.engineering())
    await clock.sleep(timedelta(minutes=1))
    await completed(world, started)
    assert questions(world, started.task_id) == []


async def test_a_task_that_waits_can_be_cancelled(world: World, clock: WorkflowEnvironment) -> None:
    await limited(world, clock, "window", 2 * HOURS, 1)
    started, _ = await waiting(world)
    await world.gateway.cancel(started.workflow_id)
    await eventually(lambda: world.platform.state(started.task_id) is TaskState.CANCELLED, timeout=15)
    assert questions(world, started.task_id)[-1].state is QuestionState.WITHDRAWN
