"""A projection that the API will never take leaves no task open and no person unasked."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts.agent_workers import TurnOutcome
from contracts.criteria import Criterion
from contracts.errors import ErrorCode, OrchestratorError
from contracts.progress import Projection
from contracts.states import TaskState
from tests.support.workflows.workflow_world import World

A = "a" * 40
BAD = "unable to read the object \N{BOMB}"


def has_bad_words(projection: Projection) -> bool:
    return BAD in projection.model_dump_json()


async def failed(world: World, workflow_id: str) -> str | None:
    with pytest.raises(WorkflowFailureError) as ended:
        await world.handle(workflow_id).result()
    return getattr(ended.value.cause, "type", None)


async def test_a_refused_end_is_sent_again_without_its_words(world: World) -> None:
    world.platform.refuses = has_bad_words
    world.forge.read_error = OrchestratorError(ErrorCode.GIT_FAILED, BAD)
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    assert await failed(world, started.workflow_id) == ErrorCode.GIT_FAILED
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.GIT_FAILED)
    assert "Web UI" in str(last.error)


async def test_a_refused_success_is_a_success_all_the_same(world: World) -> None:
    world.platform.refuses = lambda one: one.state is TaskState.COMPLETED and bool(one.artifacts or one.title)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_words_of_the_description_that_are_refused_leave_no_task_open(world: World) -> None:
    world.platform.refuses = has_bad_words
    built = Criterion(id="w1", sentence="books has title.", words=BAD)
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary="built", criteria=[built])]
    message = world.engineering()
    await world.handle((await world.gateway.start_engineering(message)).workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_an_end_that_is_refused_in_every_form_still_ends_the_run(world: World) -> None:
    world.platform.refuses = lambda one: one.state.is_final
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.RUNNING, "the reconciler's work"


async def test_a_question_whose_words_are_refused_is_asked_all_the_same(world: World) -> None:
    world.platform.refuses = has_bad_words
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question=BAD)]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert world.platform.state(message.task_id) is TaskState.WAITING
    await world.answer(started.workflow_id, question, "stop")
    assert await failed(world, started.workflow_id) == ErrorCode.STOPPED_BY_PERSON
    assert world.platform.open_question(message.task_id) is None
