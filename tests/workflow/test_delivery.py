"""Delivery: one wish to one URL, and the words that people see on the way."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributeKey

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.criteria import Criterion
from contracts.departments import DeliveryResult
from contracts.errors import ErrorCode
from contracts.names import SearchAttribute
from contracts.states import CriterionState, Stage, TaskKind, TaskState
from contracts.suite_figures import LINES_COVERED, TESTS, SuiteFigures, figures_in
from tests.support.eventually import eventually
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World


async def test_a_wish_becomes_a_url(world: World) -> None:
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    result = DeliveryResult.model_validate(await world.handle(started.workflow_id).result())
    assert result.deployed_url == "http://127.0.0.1:18000"
    assert result.commit_sha == world.forge.main
    tasks = [
        message.task_id,
        *(ids.child_task_id(message.task_id, kind) for kind in (TaskKind.ENGINEERING, TaskKind.DEPLOY)),
    ]
    assert [world.platform.state(task) for task in tasks] == [TaskState.COMPLETED] * 3


async def test_the_result_says_what_was_not_built_in_the_words_of_the_wish(world: World) -> None:
    left_out = Criterion(id="w2", sentence="Not understood.", words="Sort by year", state=CriterionState.NOT_MET)
    criteria = [Criterion(id="w1", sentence="books has title.", words="Books: title"), left_out]
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary="built", criteria=criteria)]
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    result = DeliveryResult.model_validate(await world.handle(started.workflow_id).result())
    assert result.criteria == criteria
    for task in (message.task_id, ids.child_task_id(message.task_id, TaskKind.ENGINEERING)):
        assert world.platform.of(task)[-1].criteria == criteria


async def test_the_result_says_how_many_tests_ran_and_what_they_covered(world: World) -> None:
    world.tester.figures = SuiteFigures(executed=42, lines_covered_permille=879)
    message = world.delivery()
    await world.handle((await world.gateway.start_delivery(message)).workflow_id).result()
    engineering = ids.child_task_id(message.task_id, TaskKind.ENGINEERING)
    for task in (message.task_id, engineering):
        assert figures_in(world.platform.of(task)[-1].result) == world.tester.figures
    told = [one.milestone.message for one in world.platform.of(engineering) if one.milestone]
    assert "The checks are green (42 tests, 87 % of lines covered); publishing the commit." in told


async def test_a_project_without_figures_has_none_in_its_result(world: World) -> None:
    message = world.delivery()
    await world.handle((await world.gateway.start_delivery(message)).workflow_id).result()
    assert not {TESTS, LINES_COVERED} & set(world.platform.of(message.task_id)[-1].result)


async def test_a_deploy_that_is_running_already_is_waited_for(world: World) -> None:
    world.target.step = Step(held=True)
    other = await world.gateway.start_deploy(world.deploy(commit="a" * 40))
    await world.target.step.reached()
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)

    def handed_over() -> bool:
        return any("waiting for its turn" in str(p.milestone) for p in world.platform.of(message.task_id))

    await eventually(handed_over, timeout=20)
    world.target.step.released.set()
    result = DeliveryResult.model_validate(await world.handle(started.workflow_id).result())
    await world.handle(other.workflow_id).result()
    assert world.target.serving == result.release_id == ids.release_id_for_task(deploy_task)


async def test_a_delivery_that_wants_an_approval_goes_live_only_with_it(world: World) -> None:
    message = world.delivery(require_approval=True)
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    question = await world.question(deploy_task)
    assert world.target.released == []
    await world.answer(ids.deploy_workflow_id(world.slug), question, "approve")
    result = DeliveryResult.model_validate(await world.handle(started.workflow_id).result())
    assert world.target.serving == result.release_id


async def test_a_delivery_waits_while_what_is_below_it_asks_and_says_whom_and_what(world: World) -> None:
    world.plans.user_secrets = ["API_KEY"]
    message = world.delivery(require_approval=True)
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    workflow_id = ids.deploy_workflow_id(world.slug)
    secret = await world.question(deploy_task)
    await eventually(lambda: _waits_for(world, message.task_id) == secret)
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.stage) == (TaskState.WAITING, Stage.DEPLOY)
    assert f"user {message.user_id}, question {secret}" in str(last.waiting_for)
    assert last.milestone is None, "the work below says it already"
    await eventually(lambda: _stage_attribute(world, started.workflow_id, "waiting"))

    world.platform.secrets["API_KEY"] = "k"
    await world.answer(workflow_id, secret, "", secret_stored=True)
    await eventually(lambda: world.platform.open_question(deploy_task) not in {None, secret})
    approval = await world.question(deploy_task)
    await eventually(lambda: _waits_for(world, message.task_id) == approval)
    assert TaskState.RUNNING in {p.state for p in world.platform.of(message.task_id) if p.seq > last.seq}
    await world.answer(workflow_id, approval, "approve")
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_delivery_waits_for_a_deploy_that_it_has_joined_too(world: World) -> None:
    world.target.step = Step(held=True)
    other = await world.gateway.start_deploy(world.deploy(commit="a" * 40))
    await world.target.step.reached()
    message = world.delivery(require_approval=True)
    started = await world.gateway.start_delivery(message)
    deploy_task = ids.child_task_id(message.task_id, TaskKind.DEPLOY)
    await eventually(lambda: world.platform.state(deploy_task) is TaskState.QUEUED, timeout=20)
    world.target.step.released.set()
    question = await world.question(deploy_task)
    await eventually(lambda: _waits_for(world, message.task_id) == question)
    await world.answer(other.workflow_id, question, "approve")
    await world.handle(started.workflow_id).result()


def _waits_for(world: World, task_id: str) -> str | None:
    return world.platform.of(task_id)[-1].question_id


async def _stage_attribute(world: World, workflow_id: str, wanted: str) -> bool:
    described = await world.handle(workflow_id).describe()
    return {pair.key.name: pair.value for pair in described.typed_search_attributes}["Stage"] == wanted


async def test_a_failed_deploy_fails_the_delivery_with_its_reason(world: World) -> None:
    world.target.unhealthy.add("x")
    message = world.delivery()
    world.target.on_release = lambda request: world.target.unhealthy.add(request.plan.commit)
    started = await world.gateway.start_delivery(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.PROBE_FAILED)
    assert "answered 500" in str(last.error)


async def test_the_web_ui_shows_business_words(world: World) -> None:
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    handle = world.handle(started.workflow_id)
    await handle.result()
    description = await handle.describe()
    assert await description.static_summary() == "Delivery: A notes service: title, text"
    assert "task" in str(await description.static_details())
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert attributes["ProjectId"] == world.project_id
    assert attributes["ProjectName"] == "notes"
    assert attributes["Stage"] == "completed"


async def test_a_rename_shows_at_the_next_step_of_open_work_and_leaves_its_ids_alone(world: World) -> None:
    world.target.step = Step(held=True)
    started = await world.gateway.start_delivery(world.delivery())
    assert started.workflow_id.startswith(f"delivery/{world.slug}/dlv-")
    await world.target.step.reached()
    assert await _project_name(world, started.workflow_id) == "notes"
    world.platform.project_name = "diary"
    world.target.step.released.set()
    await world.handle(started.workflow_id).result()
    for workflow_id in (started.workflow_id, ids.deploy_workflow_id(world.slug)):
        assert await _project_name(world, workflow_id) == "diary"


async def _project_name(world: World, workflow_id: str) -> object:
    found = (await world.handle(workflow_id).describe()).typed_search_attributes
    return found.get(SearchAttributeKey.for_keyword(SearchAttribute.PROJECT_NAME))
