"""Silence of days: a person is reminded, and silence never becomes an answer.

Their server's clock jumps to the next timer while nothing else is under way, so that a month takes a second.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.agent_workers import TurnOutcome
from contracts.progress import ProgressEvent
from contracts.states import TaskState
from tests.support.eventually import eventually
from tests.support.workflows.temporal_server import running_time_skipping_server
from tests.support.workflows.workflow_world import World, working

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def clock() -> AsyncIterator[WorkflowEnvironment]:
    async with running_time_skipping_server() as server:
        yield server


@pytest.fixture
async def world(clock: WorkflowEnvironment, options: dict[str, Any], max_cached_workflows: int) -> AsyncIterator[World]:
    world = World(await clock.connect_client(**options))
    async with working(world, max_cached_workflows=max_cached_workflows):
        yield world


def milestones(world: World, task_id: str) -> list[ProgressEvent]:
    """What was said of the task's questions while they were open."""
    waiting = [p.milestone for p in world.platform.of(task_id) if p.milestone and p.state is TaskState.WAITING]
    return [milestone for milestone in waiting if milestone.question_id]


async def days_between_reminders(world: World, task_id: str, count: int) -> list[int]:
    """Whole days from the question to the first reminder, and from each to the next, once there are `count`."""
    await eventually(lambda: len(milestones(world, task_id)) > count, timeout=15)
    said = milestones(world, task_id)
    return [(later.timestamp - earlier.timestamp) // DAY for earlier, later in pairwise(said)]


async def test_who_asks_an_agents_question_reminds_every_day_and_takes_a_late_answer(
    world: World, clock: WorkflowEnvironment
) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    await clock.sleep(3.5 * DAY)
    assert await days_between_reminders(world, message.task_id, 3) == [1, 1, 1]
    assert world.platform.state(message.task_id) is TaskState.WAITING
    await world.answer(started.workflow_id, question, "title")
    await world.handle(started.workflow_id).result()
    assert "title" in world.runtime.turns[1].message


async def test_a_secret_is_asked_for_every_day_and_may_come_late(world: World, clock: WorkflowEnvironment) -> None:
    world.plans.user_secrets = ["TELEGRAM_BOT_TOKEN"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await clock.sleep(3.5 * DAY)
    assert await days_between_reminders(world, message.task_id, 3) == [1, 1, 1]
    assert world.platform.state(message.task_id) is TaskState.WAITING
    world.platform.secrets["TELEGRAM_BOT_TOKEN"] = "123:abc"
    await world.answer(started.workflow_id, question, "", secret_stored=True)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def month_of_silence(world: World, clock: WorkflowEnvironment) -> tuple[str, str]:
    """A deploy without an approval or a refusal for a month: its workflow and its question, still open."""
    message = world.deploy(require_approval=True)
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await clock.sleep(30.5 * DAY)
    assert await days_between_reminders(world, message.task_id, 30) == [1] * 30
    assert world.platform.state(message.task_id) is TaskState.WAITING
    assert world.platform.open_question(message.task_id) == question
    assert world.target.released == []
    return started.workflow_id, question


async def test_silence_is_no_approval(world: World, clock: WorkflowEnvironment) -> None:
    workflow_id, question = await month_of_silence(world, clock)
    await world.answer(workflow_id, question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(workflow_id).result()
    assert world.target.released == []


async def test_silence_is_no_refusal(world: World, clock: WorkflowEnvironment) -> None:
    workflow_id, question = await month_of_silence(world, clock)
    await world.answer(workflow_id, question, "approve")
    await world.handle(workflow_id).result()
    assert len(world.target.released) == 1
