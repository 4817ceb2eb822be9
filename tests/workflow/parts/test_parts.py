"""A large wish is built in parts, one after the other: each once, each seen, and what is blocked says by what."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.departments import DeliveryMessage, DeliveryResult
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.parts import PartDone, WorkPart
from contracts.retries import WorkDone
from contracts.states import QuestionKind, TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.fakes import Step, sha
from tests.support.workflows.workflow_world import World

WISH = "1. Books: title. 2. Reviews: text, book. 3. Clubs: name."
PARTS = [
    WorkPart(number=1, title="Books: title", words="Books: title."),
    WorkPart(number=2, title="Reviews: text, book", words="Reviews: text, book.", after=[1]),
    WorkPart(number=3, title="Clubs: name", words="Clubs: name."),
]


def large(world: World, **changes: object) -> DeliveryMessage:
    world.planner.parts = PARTS
    spec = {"name": "notes", "description": WISH}
    return world.delivery(**{"in_parts": True, "spec": spec} | changes)


def task_of(message: DeliveryMessage, number: int) -> str:
    return ids.part_task_id(message.task_id, number, len(PARTS))


async def delivered(world: World, message: DeliveryMessage) -> DeliveryResult:
    started = await world.gateway.start_delivery(message)
    return DeliveryResult.model_validate(await world.handle(started.workflow_id).result())


async def failed(world: World, message: DeliveryMessage) -> None:
    started = await world.gateway.start_delivery(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()


def states(world: World, message: DeliveryMessage) -> list[str]:
    return [part.state.value for part in world.platform.of(message.task_id)[-1].parts]


async def test_three_parts_are_built_in_their_order_each_once_and_deployed_once(world: World) -> None:
    result = await delivered(world, message := large(world))
    assert [turn.task_id for turn in world.runtime.turns] == [task_of(message, number) for number in (1, 2, 3)]
    assert len(world.tester.verified) == len(set(world.tester.verified)) == 3
    assert world.forge.effects["publish"] == 3
    assert world.forge.main == result.commit_sha
    assert len(world.target.released) == 1
    assert states(world, message) == ["completed"] * 3
    below = [world.platform.of(task_of(message, number))[-1] for number in (1, 2, 3)]
    assert [one.state for one in below] == [TaskState.COMPLETED] * 3
    assert below[1].title == "2/3: Reviews: text, book"
    assert {one.parent_task_id for one in below} == {message.task_id}


async def test_the_plan_and_how_far_each_part_is_are_seen_while_it_runs(world: World) -> None:
    world.tester.step = Step(held=True)
    message = large(world)
    started = await world.gateway.start_delivery(message)
    await world.tester.step.reached()
    await eventually(lambda: states(world, message) == ["running", "open", "open"])
    told = [p.milestone.message for p in world.platform.of(message.task_id) if p.milestone]
    assert (
        "The work has 3 parts, done one after the other: 1. Books: title; 2. Reviews: text, book (after 1); "
        "3. Clubs: name."
    ) in told
    assert world.platform.of(message.task_id)[-1].parts[0].task_id == task_of(message, 1)
    markdown = world.workspaces.files["TASK.md"]
    assert "This is part 1 of 3." in markdown
    assert "\nBooks: title.\n" in markdown
    world.tester.step.released.set()
    await world.handle(started.workflow_id).result()


async def test_a_failed_part_blocks_what_waits_for_it_and_nothing_else(world: World) -> None:
    world.workspaces.push_errors = [broken()]
    await failed(world, message := large(world))
    assert states(world, message) == ["failed", "blocked", "completed"]
    last = world.platform.of(message.task_id)[-1]
    assert (last.state, last.error_code, last.parts[1].blocked_by) == (TaskState.FAILED, ErrorCode.GIT_FAILED, [1])
    assert "1 part of 3 on main. Blocked by that: 2." in str(last.error)
    assert world.target.released == [], "nothing is deployed before all of it is there"
    assert [turn.task_id for turn in world.runtime.turns] == [task_of(message, 1), task_of(message, 3)]


async def test_a_retry_does_only_what_is_left(world: World) -> None:
    """The API tells the retry what the earlier attempt has finished: of the first part its publishing, of the second
    green checks, of the third nothing."""
    first = WorkDone(task_id="eng-a-1of3", branch="task/eng-a-1of3", base_commit=sha("s"), commit=sha("one"),
                     tested=True, verified=True, published=True, summary="first")  # fmt: skip
    second = first.model_copy(update={"task_id": "eng-a-2of3", "branch": "task/eng-a-2of3", "commit": sha("two"),
                                      "published": False})  # fmt: skip
    done = [PartDone(number=1, done=first), PartDone(number=2, done=second)]
    result = await delivered(world, message := large(world, parts=PARTS, parts_done=done))
    assert world.planner.divided == [], "the plan is that of the first attempt"
    assert [turn.task_id for turn in world.runtime.turns] == [task_of(message, 3)]
    assert world.forge.effects["publish"] == 2
    assert world.tester.verified == [result.commit_sha]
    last = world.platform.of(message.task_id)[-1]
    assert [part.task_id for part in last.parts] == ["eng-a-1of3", task_of(message, 2), task_of(message, 3)]
    assert states(world, message) == ["completed"] * 3


async def test_a_person_who_stops_a_part_blocks_only_what_waits_for_it(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which books?")]
    message = large(world)
    started = await world.gateway.start_delivery(message)
    question = await world.question(task_of(message, 1))
    await world.answer(ids.engineering_workflow_id(task_of(message, 1)), question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert states(world, message) == ["failed", "blocked", "completed"]
    assert world.platform.of(message.task_id)[-1].error_code == ErrorCode.STOPPED_BY_PERSON


async def test_a_person_who_declines_the_plan_wants_none_of_it(world: World) -> None:
    message = large(world, plan_approval="ask")
    started = await world.gateway.start_delivery(message)
    question = await world.question(task_of(message, 1))
    await world.answer(ids.engineering_workflow_id(task_of(message, 1)), question, "stop")
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert states(world, message) == ["open", "open", "open"]
    assert world.runtime.turns == []


async def test_a_cancel_stops_the_part_that_is_in_work(world: World) -> None:
    world.runtime.step = Step(held=True)
    message = large(world)
    started = await world.gateway.start_delivery(message)
    await world.runtime.step.reached()
    await world.gateway.cancel(started.workflow_id)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    assert world.platform.state(task_of(message, 1)) is TaskState.CANCELLED
    assert world.platform.state(message.task_id) is TaskState.CANCELLED
    assert states(world, message) == ["open", "open", "open"]
    assert world.runtime.stopped


async def test_whoever_approves_the_first_part_sees_the_plan_of_all(world: World) -> None:
    world.planner.clauses = ["Books: title"]
    message = large(world, plan_approval="ask")
    started = await world.gateway.start_delivery(message)
    for number in (1, 2, 3):
        task_id = task_of(message, number)
        asked = await world.question(task_id)
        question = next(p.question for p in world.platform.of(task_id) if p.question)
        assert question.kind is QuestionKind.APPROVAL
        assert f"Part {number} of 3" in question.text
        assert "3. Clubs: name" in question.text
        await world.answer(ids.engineering_workflow_id(task_id), asked, "approve", plan_hash=question.plan_hash)
    await world.handle(started.workflow_id).result()


async def test_a_wish_in_one_piece_is_built_as_before(world: World) -> None:
    message = large(world)
    world.planner.parts = PARTS[:1]
    result = await delivered(world, message)
    engineering = world.platform.of(ids.child_task_id(message.task_id, TaskKind.ENGINEERING))
    assert engineering[-1].result["commit_sha"] == result.commit_sha
    assert world.platform.of(message.task_id)[-1].parts == []


async def test_a_wish_in_one_piece_that_fails_has_no_parts_either(world: World) -> None:
    """Else a retry would take its plan for what is left to do, and not what its engineering has finished."""
    world.workspaces.push_errors = [broken()]
    message = large(world)
    world.planner.parts = PARTS[:1]
    await failed(world, message)
    assert world.platform.of(message.task_id)[-1].parts == []


def broken() -> OrchestratorError:
    return OrchestratorError(ErrorCode.GIT_FAILED, "The disk is broken.", error_class=ErrorClass.PERMANENT)
