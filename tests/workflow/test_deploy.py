"""Deploy: one release per commit, in order, and the previous one serves until the new one is proven."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.departments import DeployResult
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import DeployAction, ReleaseState, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import STRANGER, World

A, B = "a" * 40, "b" * 40


async def deployed(world: World, **changes: object) -> DeployResult:
    started = await world.gateway.start_deploy(world.deploy(**changes))
    return DeployResult.model_validate(await world.handle(started.workflow_id).result())


async def failed(world: World, **changes: object) -> tuple[str, str]:
    message = world.deploy(**changes)
    started = await world.gateway.start_deploy(message)
    with pytest.raises(WorkflowFailureError) as ended:
        await world.handle(started.workflow_id).result()
    return message.task_id, ended.value.cause.type


async def test_a_commit_becomes_a_url(world: World) -> None:
    result = await deployed(world)
    assert result.deployed_url == "http://127.0.0.1:18000"
    assert result.commit_sha == world.forge.main
    assert world.target.serving == result.release_id
    found = await world.deploy_handle().describe()
    attributes = {pair.key.name: pair.value for pair in found.typed_search_attributes}
    assert attributes["ServerHandle"] == "local"
    assert world.platform.books[str(result.release_id)].state is ReleaseState.ACTIVE
    assert world.platform.secrets == {"SECRET_KEY": "generated-SECRET_KEY"}


async def test_two_simultaneous_deploys_of_one_commit_are_one_release(world: World) -> None:
    world.target.step = Step(held=True)
    first = await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    second = await world.gateway.start_deploy(world.deploy(commit=A))
    assert (second.task_id, second.joined) == (first.task_id, True)
    world.target.step.released.set()
    await world.handle(first.workflow_id).result()
    assert len(world.target.released) == 1


async def test_the_newest_twice_is_one_release(world: World) -> None:
    world.target.step = Step(held=True)
    first = await world.gateway.start_deploy(world.deploy())
    await world.target.step.reached()
    message = world.deploy()
    second = await world.gateway.start_deploy(message)
    assert second.queued
    world.target.step.released.set()
    await world.handle(first.workflow_id).result()
    assert len(world.target.released) == 1
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_newer_commit_meanwhile_is_not_lost(world: World) -> None:
    world.target.step = Step(held=True)
    first = await world.gateway.start_deploy(world.deploy(commit=A))
    await world.target.step.reached()
    newer = world.deploy(commit=B)
    second = await world.gateway.start_deploy(newer)
    assert (second.queued, second.joined, second.task_id) == (True, False, newer.task_id)
    world.target.step.released.set()
    await world.handle(first.workflow_id).result()
    assert world.platform.state(newer.task_id) is TaskState.COMPLETED
    assert world.target.serving == ids.release_id_for_task(newer.task_id)
    assert [r.state for r in world.platform.books.values()] == [ReleaseState.SUPERSEDED, ReleaseState.ACTIVE]


async def test_a_repeated_request_after_the_end_does_not_deploy_again(world: World) -> None:
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.handle(started.workflow_id).result()
    await world.gateway.start_deploy(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert len(world.target.released) == 1
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_release_that_does_not_start_leaves_the_previous_one_serving(world: World) -> None:
    good = await deployed(world, commit=A)
    world.target.broken.add(B)
    task_id, code = await failed(world, commit=B)
    assert code == ErrorCode.PLAYBOOK_FAILED
    assert world.target.serving == good.release_id
    last = world.platform.of(task_id)[-1]
    assert "did not start" in str(last.error)
    assert "previous release is still running" in str(last.error)
    assert world.platform.books[str(good.release_id)].state is ReleaseState.ACTIVE


async def test_a_release_that_does_not_answer_is_taken_back(world: World) -> None:
    good = await deployed(world, commit=A)
    world.target.unhealthy.add(B)
    task_id, code = await failed(world, commit=B)
    assert code == ErrorCode.PROBE_FAILED
    assert world.target.serving == good.release_id
    assert world.platform.books[ids.release_id_for_task(task_id)].state is ReleaseState.FAILED


async def test_a_release_that_ends_while_it_is_watched_is_taken_back(world: World) -> None:
    good = await deployed(world, commit=A, watch_s=5)
    world.target.dies.add(B)
    task_id, code = await failed(world, commit=B, watch_s=5)
    assert code == ErrorCode.PROBE_FAILED
    assert world.target.serving == good.release_id
    assert world.platform.books[str(good.release_id)].state is ReleaseState.ACTIVE
    assert world.platform.books[ids.release_id_for_task(task_id)].state is ReleaseState.FAILED
    assert "started again" in str(world.platform.of(task_id)[-1].error)


async def test_the_url_is_told_at_the_switch_and_the_task_completes_after_the_watch(world: World) -> None:
    world.target.watch_step = Step(held=True)
    message = world.deploy(commit=A, watch_s=5)
    started = await world.gateway.start_deploy(message)
    await world.target.watch_step.reached()

    def told() -> bool:
        said = [p.milestone.message for p in world.platform.of(message.task_id) if p.milestone]
        return any("http://127.0.0.1:18000 answers; watching it for 5 s" in str(text) for text in said)

    await eventually(told, timeout=15)
    assert world.platform.state(message.task_id) is TaskState.RUNNING
    assert world.platform.books[ids.release_id_for_task(message.task_id)].state is not ReleaseState.ACTIVE
    world.target.watch_step.released.set()
    result = DeployResult.model_validate(await world.handle(started.workflow_id).result())
    assert result.links == {"backend": "http://127.0.0.1:18000"}
    assert [one.watch_s for one in world.target.watched] == [5]
    assert set(world.target.watched[0].seen) == {"backend"}, "a crash before the watch is seen, too"


async def test_a_release_is_not_watched_when_the_message_does_not_say_so(world: World) -> None:
    await deployed(world, commit=A)
    assert world.target.watched == []


async def test_a_cancel_while_a_release_is_watched_returns_to_the_previous_one(world: World) -> None:
    good = await deployed(world, commit=A)
    world.target.watch_step = Step(held=True)
    message = world.deploy(commit=B, watch_s=600)
    started = await world.gateway.start_deploy(message)
    await world.target.watch_step.reached()
    await world.handle(started.workflow_id).cancel()
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert world.target.serving == good.release_id
    assert world.platform.state(message.task_id) is TaskState.CANCELLED


async def test_a_first_release_that_fails_leaves_nothing(world: World) -> None:
    world.target.unhealthy.add(A)
    await failed(world, commit=A)
    assert world.target.serving is None


async def test_rollback_returns_to_the_exact_earlier_commit(world: World) -> None:
    first = await deployed(world, commit=A)
    second = await deployed(world, commit=B)
    result = await deployed(world, action=DeployAction.ROLLBACK)
    assert (result.commit_sha, result.release_id) == (A, first.release_id)
    assert world.target.serving == first.release_id
    assert world.platform.books[str(second.release_id)].state is ReleaseState.ROLLED_BACK
    assert world.platform.books[str(first.release_id)].state is ReleaseState.ACTIVE


async def test_a_rollback_without_an_earlier_release_says_so(world: World) -> None:
    await deployed(world, commit=A)
    _, code = await failed(world, action=DeployAction.ROLLBACK)
    assert code == ErrorCode.NOTHING_TO_ROLL_BACK


async def test_a_missing_secret_asks_waits_and_continues(world: World) -> None:
    world.plans.user_secrets = ["TELEGRAM_BOT_TOKEN"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    refused = await world.answer(started.workflow_id, question, "123:abc")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_WRONG_CHOICE
    assert "123:abc" not in refused.message
    refused = await world.answer(started.workflow_id, question, "", actor=STRANGER, secret_stored=True)
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_NOT_YOURS
    world.platform.secrets["TELEGRAM_BOT_TOKEN"] = "123:abc"
    await world.answer(started.workflow_id, question, "", secret_stored=True)
    await world.handle(started.workflow_id).result()
    assert world.platform.state(message.task_id) is TaskState.COMPLETED


async def test_a_secret_that_is_still_missing_is_asked_for_again(world: World) -> None:
    world.plans.user_secrets = ["ONE", "TWO"]
    message = world.deploy()
    started = await world.gateway.start_deploy(message)
    first = await world.question(message.task_id)
    world.platform.secrets["ONE"] = "1"
    await world.answer(started.workflow_id, first, "", secret_stored=True)

    def second_question() -> str | None:
        found = world.platform.open_question(message.task_id)
        return found if found != first else None

    second = await eventually(second_question, timeout=15)
    world.platform.secrets["TWO"] = "2"
    await world.answer(started.workflow_id, second, "", secret_stored=True)
    await world.handle(started.workflow_id).result()


async def test_an_approval_waits_and_only_the_offered_choices_count(world: World) -> None:
    message = world.deploy(commit=A, require_approval=True)
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    refused = await world.answer(started.workflow_id, question, "maybe")
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.QUESTION_WRONG_CHOICE
    refused = await world.answer(started.workflow_id, question, "approve", plan_hash=B)
    assert isinstance(refused, OrchestratorError)
    assert refused.code is ErrorCode.CONFLICT
    assert world.target.released == []
    await world.answer(started.workflow_id, question, "approve", plan_hash=A)
    await world.handle(started.workflow_id).result()
    assert len(world.target.released) == 1


async def test_an_approval_that_is_refused_deploys_nothing(world: World) -> None:
    message = world.deploy(commit=A, require_approval=True)
    started = await world.gateway.start_deploy(message)
    question = await world.question(message.task_id)
    await world.answer(started.workflow_id, question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert world.target.released == []


async def test_stop_restart_and_remove_act_on_the_active_release(world: World) -> None:
    result = await deployed(world, commit=A)
    for action in (DeployAction.STOP, DeployAction.RESTART, DeployAction.REMOVE):
        await deployed(world, action=action)
    assert world.target.operations == ["stop", "restart", "remove"]
    assert world.platform.books[str(result.release_id)].state is ReleaseState.REMOVED
    _, code = await failed(world, action=DeployAction.STOP)
    assert code == ErrorCode.NOT_DEPLOYED


async def test_a_commit_that_does_not_exist_leaves_the_project_as_it_is(world: World) -> None:
    world.forge.unknown.add(A)
    task_id, code = await failed(world, commit=A)
    assert code == ErrorCode.NOT_FOUND
    assert [p.project_status for p in world.platform.of(task_id) if p.project_status] == []


async def test_a_message_without_a_repository_fails_with_words_and_touches_nothing(world: World) -> None:
    task_id, code = await failed(world, commit=A, repository=None)
    assert code == ErrorCode.INVALID_INPUT
    assert "repository" in str(world.platform.of(task_id)[-1].error)
    assert world.target.released == []


async def test_a_port_of_a_foreign_program_is_passed_over_while_nobody_knows_the_address(world: World) -> None:
    world.target.foreign_ports = {18000, 18001}
    result = await deployed(world, commit=A)
    assert result.deployed_url == "http://127.0.0.1:18002"
    assert world.target.serving == result.release_id


async def test_a_known_address_is_kept_and_the_program_that_holds_it_is_named(world: World) -> None:
    good = await deployed(world, commit=A)
    world.target.foreign_ports = {18000}
    task_id, code = await failed(world, commit=B)
    assert code == ErrorCode.PORT_TAKEN
    assert "18000" in str(world.platform.of(task_id)[-1].error)
    assert world.target.serving == good.release_id


async def test_ports_that_are_all_taken_end_with_that_reason(world: World) -> None:
    world.target.foreign_ports = set(range(18000, 18200))
    _, code = await failed(world, commit=A)
    assert code == ErrorCode.PORT_TAKEN
    assert len(world.target.released) == 11
