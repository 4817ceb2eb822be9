"""Going on with a task that has ended early: no finished step runs twice, and names belong to one attempt."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.departments import EngineeringMessage
from contracts.errors import ErrorCode, OrchestratorError
from contracts.retries import work_done
from contracts.states import AgentKind, TaskState
from contracts.steps import PublishResult
from contracts.suite_figures import SuiteFigures, figures_in
from tests.support.workflows.fakes import sha
from tests.support.workflows.workflow_world import World

LOST = OrchestratorError(ErrorCode.AGENT_LOST, "The machine restarted during the turn.")


async def failed(world: World, message: EngineeringMessage) -> None:
    started = await world.gateway.start_engineering(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()


def going_on(world: World, message: EngineeringMessage, **changes: object) -> EngineeringMessage:
    """As the API makes it from the row of the ended task."""
    last = world.platform.of(message.task_id)[-1]
    done = work_done(message.task_id, last.result, last.criteria)
    return message.model_copy(update={"task_id": ids.retry_task_id(message.task_id), "done": done, **changes})


async def completed(world: World, message: EngineeringMessage) -> None:
    await world.handle((await world.gateway.start_engineering(message)).workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_green_tests_and_the_commit_stay_done_when_publishing_failed(world: World) -> None:
    world.tester.figures = SuiteFigures(executed=42, lines_covered_permille=879)
    message = world.engineering()
    world.forge.publish_results = [
        PublishResult.model_construct(status="published", commit=sha("published"), files_changed=[7])
    ]
    await failed(world, message)
    scaffolds = world.forge.effects["scaffold"]
    retry = going_on(world, message)
    await completed(world, retry)
    assert figures_in(world.platform.of(retry.task_id)[-1].result) == world.tester.figures
    assert world.forge.effects["scaffold"] == scaffolds
    assert len(world.runtime.turns) == 1
    assert len(world.tester.verified) == 1
    assert world.forge.main == sha(ids.turn_name(message.task_id, 1))


async def test_a_commit_that_nobody_has_tested_is_tested_and_the_agent_is_not_asked_again(world: World) -> None:
    message = world.engineering()
    world.plans.refusals = [OrchestratorError(ErrorCode.GIT_FAILED, "the commit could not be read")]
    await failed(world, message)
    assert world.tester.verified == []
    await completed(world, going_on(world, message))
    assert len(world.runtime.turns) == 1
    assert world.tester.verified == [sha(ids.turn_name(message.task_id, 1))]


async def test_another_agent_goes_on_from_the_red_commit_on_the_same_branch_under_names_of_its_own(
    world: World,
) -> None:
    world.tester.failures = ["a"]
    world.runtime.scripts = [TurnOutcome(status="done", turn=1), LOST]
    message = world.engineering(agent=AgentKind.CLAUDE_CODE)
    await failed(world, message)
    again = going_on(world, message, agent=AgentKind.CODEX, advice="Use the fixture.")
    await completed(world, again)
    last = world.runtime.turns[-1]
    assert (last.agent, last.worker_id, last.turn) == (AgentKind.CODEX, again.task_id, 1)
    assert "Its commits are on this branch" in last.message
    assert "Use the fixture." in last.message
    prepared = {request.worker_id: request.branch for request in world.workspaces.prepared}
    assert prepared[again.task_id] == ids.work_branch(message.task_id)


async def test_what_stopped_at_a_limit_goes_on_and_a_second_retry_keeps_the_first_branch(world: World) -> None:
    message = world.engineering()
    world.runtime.scripts = [LOST, LOST]
    await failed(world, message)
    second = going_on(world, message)
    await failed(world, second)
    third = going_on(world, second)
    assert third.done is not None
    assert third.done.branch == ids.work_branch(message.task_id)
    await completed(world, third)
    assert world.forge.effects["scaffold"] == 1


async def test_a_delivery_whose_commit_is_on_main_goes_straight_to_the_deploy(world: World) -> None:
    message = world.delivery()
    commit = sha(ids.turn_name(message.task_id.replace("dlv-", "eng-"), 1))
    world.target.broken = {commit}
    started = await world.gateway.start_delivery(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    world.target.broken = set()
    below = world.platform.of(message.task_id.replace("dlv-", "eng-"))[-1]
    done = work_done(below.task_id, below.result, below.criteria)
    again = message.model_copy(update={"task_id": ids.retry_task_id(message.task_id), "done": done})
    await world.handle((await world.gateway.start_delivery(again)).workflow_id).result()
    assert len(world.runtime.turns) == len(world.tester.verified) == world.forge.effects["publish"] == 1
    last = world.platform.of(again.task_id)[-1]
    assert (last.state, last.result["commit_sha"]) == (TaskState.COMPLETED, commit)


async def test_what_a_task_was_started_with_is_read_from_its_history(world: World) -> None:
    world.runtime.scripts = [LOST]
    message = world.engineering(agent=AgentKind.CODEX)
    await failed(world, message)
    workflow_id = ids.engineering_workflow_id(message.task_id)
    run_id = world.platform.of(message.task_id)[-1].run_id
    assert await world.gateway.message_of(workflow_id, run_id, EngineeringMessage) == message
    assert await world.gateway.message_of("engineering/eng-unknown", "", EngineeringMessage) is None
