"""Engineering: from a wish to a verified commit, and every way in which it can end otherwise."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributeKey

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.departments import EngineeringResult
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import SearchAttribute
from contracts.states import ProjectStatus, QuestionState, TaskState
from contracts.steps import PublishResult
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import sha
from tests.support.workflows.workflow_world import ADMIN, STRANGER, World


async def result_of(world: World, workflow_id: str) -> EngineeringResult:
    return EngineeringResult.model_validate(await world.handle(workflow_id).result())


async def stage_of(world: World, workflow_id: str, *wanted: str) -> bool:
    """Whether the search attribute by which people find a workflow says one of `wanted`."""
    found = (await world.handle(workflow_id).describe()).typed_search_attributes
    return found.get(SearchAttributeKey.for_keyword(SearchAttribute.STAGE)) in wanted


async def test_a_wish_becomes_one_published_commit(world: World) -> None:
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    result = await result_of(world, started.workflow_id)
    assert result.commit_sha == world.forge.main == sha(ids.turn_name(message.task_id, 1))
    assert world.tester.verified == [result.commit_sha]
    assert len(world.runtime.turns) == 1
    assert world.platform.state(message.task_id) is TaskState.COMPLETED
    assert "Specification" in world.workspaces.files["TASK.md"]
    assert world.workspaces.removed == [message.task_id]


async def test_the_projection_tells_the_stages_in_order(world: World) -> None:
    message = world.engineering()
    await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    projections = world.platform.of(message.task_id)
    assert [p.seq for p in projections] == sorted({p.seq for p in projections})
    stages = list(dict.fromkeys(p.stage for p in projections))
    assert stages == ["started", "scaffolding", "developing", "testing", "publishing", "completed"]
    statuses = list(dict.fromkeys(p.project_status for p in projections if p.project_status))
    assert statuses == [
        ProjectStatus.SCAFFOLDING,
        ProjectStatus.SCAFFOLDED,
        ProjectStatus.DEVELOPING,
        ProjectStatus.TESTING,
    ]
    assert world.platform.refusals == 0


async def test_a_repeated_start_is_the_same_start(world: World) -> None:
    message = world.engineering()
    first = await world.gateway.start_engineering(message)
    again = await world.gateway.start_engineering(message)
    assert first == again
    await result_of(world, first.workflow_id)
    ran = (await world.handle(first.workflow_id).describe()).run_id
    assert await world.gateway.start_engineering(message) == first
    assert (await world.handle(first.workflow_id).describe()).run_id == ran, "not begun a second time"
    assert len(world.runtime.turns) == 1


async def test_red_checks_go_back_to_the_developer_with_the_evidence(world: World) -> None:
    world.tester.failures = ["test_notes"]
    message = world.engineering()
    result = await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert [turn.turn for turn in world.runtime.turns] == [1, 2]
    assert "FAILED test_notes" in world.runtime.turns[1].message
    assert world.runtime.turns[1].session_id == "session-1"
    assert result.commit_sha == sha(ids.turn_name(message.task_id, 2))


async def test_the_same_failure_twice_goes_to_a_person(world: World) -> None:
    world.tester.failures = ["test_notes", "test_notes"]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert len(world.runtime.turns) == 2
    assert world.platform.state(message.task_id) is TaskState.WAITING
    await world.answer(started.workflow_id, question, "use a fixture")
    await result_of(world, started.workflow_id)
    assert "use a fixture" in world.runtime.turns[2].message


async def test_rounds_are_bounded_and_a_person_can_stop(world: World) -> None:
    world.tester.failures = ["a", "b", "c"]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert len(world.runtime.turns) == 3
    await world.answer(started.workflow_id, question, "stop")
    with pytest.raises(WorkflowFailureError) as failed:
        await world.handle(started.workflow_id).result()
    assert failed.value.cause.type == ErrorCode.STOPPED_BY_PERSON
    assert world.platform.state(message.task_id) is TaskState.FAILED
    assert world.forge.effects["publish"] == 0


async def test_after_a_persons_answer_the_rounds_start_again(world: World) -> None:
    world.tester.failures = ["a", "b", "c", "d"]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    asked = await world.question(message.task_id)
    await world.answer(started.workflow_id, asked, "try again")
    await within(world.handle(started.workflow_id).result(), 20)
    assert world.platform.state(message.task_id) is TaskState.COMPLETED
    assert len(world.tester.verified) == 5, "red once more, repaired without another question, green"


def refused(code: ErrorCode, said: str) -> OrchestratorError:
    return OrchestratorError(code, said)


@pytest.mark.parametrize("code", [ErrorCode.REPOSITORY_DIVERGED, ErrorCode.REPOSITORY_UNREADABLE])
async def test_commits_that_cannot_be_taken_go_back_to_the_developer(world: World, code: ErrorCode) -> None:
    world.workspaces.push_errors = [refused(code, "do not build on it; git reset --soft abc")]
    message = world.engineering()
    result = await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert [turn.turn for turn in world.runtime.turns] == [1, 2]
    assert "git reset --soft abc" in world.runtime.turns[1].message
    assert "nothing was tested" in world.runtime.turns[1].message
    assert world.tester.verified == [result.commit_sha]


async def test_the_same_refusal_twice_goes_to_a_person_who_can_go_on(world: World) -> None:
    world.workspaces.push_errors = [refused(ErrorCode.REPOSITORY_DIVERGED, "foreign") for _ in range(2)]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    told = next(p.question.text for p in reversed(world.platform.of(message.task_id)) if p.question)
    assert "cannot be taken" in told
    assert "foreign" in told
    assert len(world.runtime.turns) == 2
    await world.answer(started.workflow_id, question, "retry")
    await result_of(world, started.workflow_id)
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


@pytest.mark.parametrize("code", [ErrorCode.ENV_CONTRACT_INVALID, ErrorCode.INVALID_INPUT])
async def test_what_the_deploy_would_refuse_goes_back_to_the_developer(world: World, code: ErrorCode) -> None:
    world.plans.refusals = [refused(code, "service.yaml merges too many entries")]
    message = world.engineering()
    result = await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert f"{code.value}: service.yaml merges too many entries" in world.runtime.turns[1].message
    assert world.tester.verified == [result.commit_sha], "nothing is tested that cannot be deployed"


async def test_success_without_a_commit_is_not_believed(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary="idle")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    assert world.tester.verified == []
    await world.answer(started.workflow_id, question, "retry")
    await result_of(world, started.workflow_id)


async def test_what_waits_for_a_person_is_found_by_its_stage_until_it_is_answered(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    await eventually(lambda: stage_of(world, started.workflow_id, "waiting"), timeout=15)
    await world.answer(started.workflow_id, question, "title")
    await eventually(lambda: stage_of(world, started.workflow_id, "developing", "completed"), timeout=15)
    await result_of(world, started.workflow_id)


@pytest.mark.parametrize("word", ["stop", "Cancel", "accept"])
async def test_what_an_agent_has_offered_is_said_to_the_agent_whatever_the_word(world: World, word: str) -> None:
    asked = "What does the button do?"
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question=asked, choices=[word, "save"])]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), word.lower())
    result = await result_of(world, started.workflow_id)
    assert f"## Answer from the person\n{word.lower()}" in world.runtime.turns[1].message
    assert world.tester.verified == [result.commit_sha]


async def test_stop_ends_the_work_if_the_agent_has_not_offered_it(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?", choices=["title"])]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.answer(started.workflow_id, await world.question(message.task_id), "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert len(world.runtime.turns) == 1


async def test_an_agents_question_reaches_its_owner_and_only_the_first_valid_answer_counts(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?", choices=["title"])]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)

    refused = await world.answer(started.workflow_id, question, "title", actor=STRANGER)
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_NOT_YOURS
    refused = await world.answer(started.workflow_id, question, "   ")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_WRONG_CHOICE
    refused = await world.answer(started.workflow_id, "q-unknown", "title")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.NOT_FOUND

    world.runtime.step.held = True
    accepted = await world.answer(started.workflow_id, question, "title and text", actor=ADMIN)
    assert not isinstance(accepted, OrchestratorError)
    refused = await world.answer(started.workflow_id, question, "body")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_CLOSED
    world.runtime.step.released.set()

    await result_of(world, started.workflow_id)
    assert "title and text" in world.runtime.turns[1].message
    closed = [p.question for p in world.platform.of(message.task_id) if p.question][-1]
    assert (closed.state, closed.answered_by, closed.answer) == (
        QuestionState.ANSWERED,
        ADMIN.user_id,
        "title and text",
    )


async def test_main_that_moved_is_verified_again_before_it_is_published(world: World) -> None:
    rebased = sha("rebased")
    world.forge.publish_results = [PublishResult(status="rebased", commit=rebased)]
    message = world.engineering()
    result = await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert result.commit_sha == rebased
    assert world.tester.verified[-1] == rebased
    assert world.forge.effects["publish"] == 2


async def test_an_agent_that_is_lost_fails_the_task_and_is_not_started_twice(world: World) -> None:
    world.runtime.scripts = [OrchestratorError(ErrorCode.AGENT_LOST, "The machine restarted during the turn.")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.AGENT_LOST)
    assert "machine restarted" in str(last.error)
    assert len(world.runtime.turns) == 1


async def test_a_passing_trouble_is_retried_without_a_word_to_the_agent(world: World) -> None:
    world.runtime.scripts = [
        OrchestratorError(ErrorCode.GIT_FAILED, "the lock is held", error_class=ErrorClass.TRANSIENT),
        TurnOutcome(status="done", turn=1),
    ]
    message = world.engineering()
    await result_of(world, (await world.gateway.start_engineering(message)).workflow_id)
    assert {turn.turn for turn in world.runtime.attempts} == {1}


async def test_a_value_that_fits_no_contract_fails_the_task_with_words(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which?", choices=["x" * 30] * 10)]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    question = await world.question(message.task_id)
    # a choice list of a well-behaved agent is taken as it is; one of the workflow's own models is not
    world.forge.publish_results = [
        PublishResult.model_construct(status="published", commit=sha("published"), files_changed=[7])
    ]
    await world.answer(started.workflow_id, question, "x")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.FAILED


async def test_a_message_without_a_repository_fails_with_words_and_touches_nothing(world: World) -> None:
    message = world.engineering(repository=None)
    started = await world.gateway.start_engineering(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.INVALID_INPUT)
    assert "repository" in str(last.error)
    assert not world.forge.effects
