"""Silence of days: a person is reminded, and silence never becomes an answer.

The server skips the time of the workflow that waits; every other clock goes on as ever.
"""

from datetime import timedelta
from itertools import pairwise

import pytest
from temporalio.client import WorkflowFailureError

from contracts.agent_workers import TurnOutcome
from contracts.progress import ProgressEvent
from contracts.states import TaskState
from tests.support.eventually import eventually
from tests.support.workflow_world import World

DAY = timedelta(days=1)
TIMER_STARTED = "timer_started_event_attributes"


def milestones(world: World, task_id: str, words: str) -> list[ProgressEvent]:
    return [p.milestone for p in world.platform.of(task_id) if p.milestone and words in str(p.milestone.message)]


async def reminders(world: World, task_id: str, count: int) -> list[ProgressEvent]:
    """Once there are `count` of them, all of them."""
    return await eventually(
        lambda: found if len(found := milestones(world, task_id, "Still waiting")) >= count else None, timeout=15
    )


async def test_who_does_not_give_a_secret_is_reminded_every_day_and_may_still_give_it(world: World) -> None:
    world.plans.user_secrets = ["TELEGRAM_BOT_TOKEN"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await world.let_pass(started.workflow_id, 3.5 * DAY)
    said = [*milestones(world, message.task_id, "Question"), *await reminders(world, message.task_id, 3)]
    assert [(later.timestamp - earlier.timestamp) // DAY for earlier, later in pairwise(said)] == [1, 1, 1]
    assert world.platform.state(message.task_id) is TaskState.WAITING
    assert world.target.released == []
    world.platform.secrets["TELEGRAM_BOT_TOKEN"] = "123:abc"
    await world.answer(started.workflow_id, question, "", secret_stored=True)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def timers(world: World, workflow_id: str) -> list[timedelta]:
    """How long each timer of a workflow runs."""
    history = await world.handle(workflow_id).fetch_history()
    started = [event.timer_started_event_attributes for event in history.events if event.HasField(TIMER_STARTED)]
    return [attributes.start_to_fire_timeout.ToTimedelta() for attributes in started]


async def test_an_agents_question_reminds_every_day_too(world: World) -> None:
    """Its time cannot be skipped, because the agent worker lives meanwhile; what follows a timer is shown above."""
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert await eventually(lambda: timers(world, started.workflow_id), timeout=15) == [DAY]
    assert world.platform.state(message.task_id) is TaskState.WAITING
    await world.answer(started.workflow_id, question, "title")
    await world.handle(started.workflow_id).result()


@pytest.mark.parametrize("answer", ["approve", "stop"])
async def test_a_month_of_silence_is_no_approval_and_no_refusal(world: World, answer: str) -> None:
    message = world.deploy(require_approval=True)
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await world.let_pass(started.workflow_id, 30.5 * DAY)
    await reminders(world, message.task_id, 30)
    assert world.platform.state(message.task_id) is TaskState.WAITING
    assert world.platform.open_question(message.task_id) == question
    assert world.target.released == []
    await world.answer(started.workflow_id, question, answer)
    if answer == "approve":
        await world.handle(started.workflow_id).result()
    else:
        with pytest.raises(WorkflowFailureError):
            await world.handle(started.workflow_id).result()
    assert len(world.target.released) == (1 if answer == "approve" else 0)
