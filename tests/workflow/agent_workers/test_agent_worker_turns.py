"""What a person does to an agent worker while it works: steer, stop, resume, push to its branch, forget about it."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from contracts.agent_workers import (
    AgentWorkerResult,
    AgentWorkerStatus,
    SendMessageResponse,
    SteerWorkerCommand,
    SteerWorkerResponse,
    StopTurnCommand,
    StopTurnResponse,
    TurnOutcome,
)
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import QueryName, UpdateName
from contracts.states import AgentWorkerState
from contracts.worker_steps import TakenUp, TurnLeft
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import Step, sha
from tests.support.workflows.workflow_world import OWNER, World
from tests.workflow.agent_workers.test_agent_worker import CLONE, deleted, run_id, started, told

SHOWN = {"is_shown": True, "user_id": OWNER.user_id}


async def steered(handle: WorkflowHandle, worker: str, text: str, request_id: str = "") -> SteerWorkerResponse:
    sent = SteerWorkerCommand(request_id=request_id or uuid4().hex, worker_id=worker, message=text)
    return await within(handle.execute_update(UpdateName.STEER, sent, result_type=SteerWorkerResponse), 20)


async def stopped(handle: WorkflowHandle, worker: str) -> StopTurnResponse:
    sent = StopTurnCommand(request_id=uuid4().hex, worker_id=worker)
    return await within(handle.execute_update(UpdateName.STOP, sent, result_type=StopTurnResponse), 20)


async def state(handle: WorkflowHandle) -> AgentWorkerState:
    return AgentWorkerStatus.model_validate(await handle.query(QueryName.STATUS)).state


async def begun(world: World, worker: str, message: str = "do it") -> "asyncio.Future[SendMessageResponse]":
    """A message whose turn runs now."""
    world.runtime.step = Step(held=True)
    sent = asyncio.ensure_future(told(world, worker, message=message))
    await world.runtime.step.reached()
    return sent


async def test_a_running_turn_gets_what_it_is_told_in_order_and_each_once(world: World) -> None:
    worker, handle = await started(world)
    turn = await begun(world, worker)
    answers = [await steered(handle, worker, text, request_id=text) for text in ("first", "second", "first")]
    assert [(answer.success, answer.turn) for answer in answers] == [(True, 1)] * 3
    assert [(one.number, one.kind, one.text) for one in world.runtime.controls] == [
        (1, "steer", "first"),
        (2, "steer", "second"),
    ]
    world.runtime.step.released.set()
    assert (await turn).success


async def test_without_a_turn_there_is_nothing_to_steer_and_it_says_what_to_do(world: World) -> None:
    worker, handle = await started(world)
    assert (await told(world, worker)).success
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await steered(handle, worker, "too late")
    assert "Send it as a message" in str(refused.value.cause)


async def test_a_steer_that_is_repeated_in_a_later_run_tells_no_other_turn(world: World) -> None:
    worker, handle = await started(world, updates_per_run=1)
    first_run, turn = await run_id(handle), await begun(world, worker)
    answer = await steered(handle, worker, "use tabs", request_id="s-1")
    world.runtime.step.released.set()
    assert (await turn).success

    async def continued() -> bool:
        return await run_id(handle) != first_run

    await eventually(continued)
    turn = await begun(world, worker)
    assert await steered(handle, worker, "use tabs", request_id="s-1") == answer
    assert len(world.runtime.controls) == 1
    world.runtime.step.released.set()
    assert (await turn).success


async def test_an_agent_that_takes_no_messages_while_it_works_is_not_said_to_have_them(world: World) -> None:
    world.runtime.takes_controls = False
    worker, handle = await started(world)
    turn = await begun(world, worker)
    answer = await steered(handle, worker, "use tabs")
    assert (answer.success, answer.turn) == (False, None)
    assert "begins the next turn" in str(answer.error)
    world.runtime.step.released.set()
    assert (await turn).success


async def test_a_turn_that_is_stopped_ends_by_itself_if_the_agent_can_and_the_worker_goes_on(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary="half of it")]
    worker, handle = await started(world, context=CLONE, **SHOWN)
    turn = await begun(world, worker)
    assert (await stopped(handle, worker)).turn == 1
    answer = await turn
    assert (answer.response, answer.outcome and answer.outcome.commit) == ("half of it", sha(f"turn-{worker}-1"))
    assert world.runtime.stopped == []
    world.runtime.step = Step()
    assert (await told(world, worker)).success
    assert [request.session_id for request in world.runtime.turns] == [None, "session-1"]
    await deleted(world, worker, handle)
    assert world.platform.life(worker) == ["started", "stopped", "started", "completed", "stopped"]


@pytest.mark.parametrize("takes_controls", [True, False], ids=["deaf", "not asked"])
async def test_a_turn_that_does_not_end_when_it_is_asked_is_stopped_and_its_session_goes_on(
    world: World, takes_controls: bool
) -> None:
    world.runtime.takes_controls, world.runtime.ends_when_asked = takes_controls, False
    world.runtime.left = TurnLeft(session_id="session-of-the-stopped")
    worker, handle = await started(world, stop_grace_s=0, context=CLONE)
    turn = await begun(world, worker)
    assert (await stopped(handle, worker)).success
    answer = await turn
    assert (answer.success, answer.error_code) == (False, ErrorCode.STOPPED_BY_PERSON.value)
    assert world.runtime.stopped
    assert len(world.workspaces.pushes) == 1
    assert await state(handle) is AgentWorkerState.IDLE
    world.runtime.step = Step()
    assert (await told(world, worker)).success
    assert world.runtime.turns[-1].session_id == "session-of-the-stopped"
    assert (await deleted(world, worker, handle)).turns == 2


async def test_a_stop_with_nothing_to_stop_stops_no_later_turn(world: World) -> None:
    worker, handle = await started(world)
    assert (await told(world, worker)).success
    assert (await stopped(handle, worker)).turn is None
    assert (await told(world, worker)).success


async def test_an_idle_agent_worker_goes_by_itself_and_its_branch_stays(world: World) -> None:
    worker, handle = await started(world, context=CLONE, idle_expiry_s=1, **SHOWN)
    assert (await told(world, worker)).success
    result = AgentWorkerResult.model_validate(await within(handle.result(), 20))
    assert (result.turns, result.state) == (1, AgentWorkerState.DELETED)
    # Agent workers of earlier tests may go meanwhile, too.
    assert world.workspaces.removed.count(worker) == 1
    last = world.platform.workers[worker][-1]
    assert (last.state, last.commit) == (AgentWorkerState.DELETED, sha(f"turn-{worker}-1"))
    assert world.platform.life(worker)[-1] == "stopped"


@pytest.mark.deep
async def test_a_turn_is_not_idle_however_long_it_takes(world: World) -> None:
    worker, handle = await started(world, idle_expiry_s=2)
    turn = await begun(world, worker)
    await asyncio.sleep(2.5)
    world.runtime.step.released.set()
    assert (await turn).success
    assert (await told(world, worker)).success
    assert (await deleted(world, worker, handle)).turns == 2


async def test_what_people_push_is_in_the_next_turn_and_is_not_overwritten(world: World) -> None:
    pushed = sha("a person's")
    world.workspaces.takings = [TakenUp(state="taken", branch_head=pushed, files=["services/backend/app.py"])]
    worker, _ = await started(world, context=CLONE, takes_up=True)
    assert (await told(world, worker, message="go on")).success
    message = world.runtime.turns[0].message
    assert message.startswith("go on\n\n## Pushed since")
    assert "services/backend/app.py" in message
    assert [push.expected for push in world.workspaces.pushes] == [pushed]
    assert (await told(world, worker, message="and on")).success
    assert world.runtime.turns[1].message == "and on"
    assert world.workspaces.pushes[1].expected == sha(f"turn-{worker}-1")


async def test_what_is_pushed_while_the_agent_works_is_merged_and_pushed_with_it(world: World) -> None:
    world.workspaces.push_errors = [OrchestratorError(ErrorCode.BRANCH_MOVED, "somebody pushed")]
    same, pushed = TakenUp(state="same"), sha("a person's")
    world.workspaces.takings = [same, TakenUp(state="taken", branch_head=pushed, files=["a.py"])]
    worker, _ = await started(world, context=CLONE, takes_up=True)
    answer = await told(world, worker)
    assert answer.success
    assert [push.expected for push in world.workspaces.pushes] == [None, pushed]


async def test_what_does_not_fit_is_evidence_for_the_next_turn_and_nothing_is_overwritten(world: World) -> None:
    world.workspaces.push_errors = [OrchestratorError(ErrorCode.BRANCH_MOVED, "somebody pushed")]
    same, clash = TakenUp(state="same"), TakenUp(state="conflict", branch_head=sha("theirs"), files=["a.py"])
    world.workspaces.takings = [same, clash, clash]
    worker, _ = await started(world, context=CLONE, takes_up=True)
    answer = await told(world, worker)
    assert (answer.success, answer.error_code) == (False, ErrorCode.BRANCH_MOVED.value)
    assert "a.py" in str(answer.error)
    assert (await told(world, worker, message="go on")).success
    assert "refs/orchestrator/pushed" in world.runtime.turns[1].message
    assert [push.expected for push in world.workspaces.pushes] == [None, None]


async def test_states_say_that_it_waits_for_an_answer_or_has_lost_its_agent(world: World) -> None:
    world.runtime.scripts = [
        TurnOutcome(status="question", turn=1, question="Which colour?"),
        OrchestratorError(ErrorCode.AGENT_LOST, "killed"),
    ]
    worker, handle = await started(world, **SHOWN)
    assert (await told(world, worker)).success
    await eventually(lambda: _is(handle, AgentWorkerState.WAITING))
    assert (await told(world, worker)).error_code == ErrorCode.AGENT_LOST.value
    await eventually(lambda: _is(handle, AgentWorkerState.LOST))
    assert (await told(world, worker)).success
    await deleted(world, worker, handle)
    assert world.platform.life(worker) == [
        "started", "completed", "started", "failed", "started", "completed", "stopped",
    ]  # fmt: skip


async def _is(handle: WorkflowHandle, wanted: AgentWorkerState) -> bool:
    return await state(handle) is wanted


@pytest.mark.parametrize(
    "error",
    [
        OrchestratorError(ErrorCode.AGENT_LOST, "killed"),
        OrchestratorError(ErrorCode.CONFLICT, "out of time"),
        OrchestratorError(ErrorCode.INTERNAL, "nobody knows"),
    ],
    ids=lambda error: error.code.value,
)
async def test_a_turn_that_is_given_up_is_stopped_before_anybody_hears_of_it(
    world: World, error: OrchestratorError
) -> None:
    world.runtime.scripts = [error]
    worker, handle = await started(world)
    assert not (await told(world, worker)).success
    assert [(one.worker_id, one.turn) for one in world.runtime.stopped] == [(worker, 1)]
    assert (await told(world, worker)).success
    assert len(world.runtime.stopped) == 1
    await deleted(world, worker, handle)


async def test_a_turn_that_has_ended_is_not_stopped_when_its_push_fails(world: World) -> None:
    world.workspaces.push_errors = [OrchestratorError(ErrorCode.INVALID_INPUT, "too large")]
    worker, handle = await started(world, context=CLONE)
    await told(world, worker)
    assert world.runtime.stopped == []
    await deleted(world, worker, handle)
