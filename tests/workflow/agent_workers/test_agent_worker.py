"""The life of an agent worker: without a repository, and over more messages than one run of a workflow may take."""

import asyncio
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import (
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts import ids
from contracts.agent_workers import (
    AgentWorkerResult,
    AgentWorkerRun,
    AgentWorkerStatus,
    SendFileCommand,
    SendFileResponse,
    SendMessageCommand,
    SendMessageResponse,
    TurnOutcome,
    WorkerConfig,
)
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import QueryName, Queue, UpdateName, WorkflowName
from contracts.states import AgentKind, AgentProfile
from tests.support.eventually import eventually
from tests.support.patience import within
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World
from workflows.children import cancel_in_any_run

CLONE = {"repository": "u1/notes", "branch": "task/eng-1"}


@workflow.defn(name="test.parent-of-an-agent-worker")
class ParentWorkflow:
    """Starts an agent worker as engineering does, and cancels it as engineering does."""

    @workflow.run
    async def run(self, command: AgentWorkerRun) -> None:
        workflow_id = ids.agent_worker_workflow_id(str(command.worker_id))
        worker = await workflow.start_child_workflow(
            WorkflowName.AGENT_WORKER,
            command,
            id=workflow_id,
            task_queue=Queue.ORCHESTRATOR,
            result_type=AgentWorkerResult,
        )
        try:
            await workflow.wait_condition(lambda: False)
        finally:
            await cancel_in_any_run(worker, workflow_id)


def command(**changes: object) -> AgentWorkerRun:
    values = {
        "request_id": uuid4().hex,
        "worker_id": f"w-{uuid4().hex[:10]}",
        "config": WorkerConfig(name="notes", agent=AgentKind.SCRIPTED),
    }
    return AgentWorkerRun.model_validate(values | changes)


async def started(world: World, **changes: object) -> tuple[str, WorkflowHandle]:
    """An agent worker and its workflow."""
    run = command(**changes)
    worker = str(run.worker_id)
    workflow_id = ids.agent_worker_workflow_id(worker)
    await world.client.start_workflow(WorkflowName.AGENT_WORKER, run, id=workflow_id, task_queue=Queue.ORCHESTRATOR)
    return worker, world.handle(workflow_id)


async def told(world: World, worker: str, request_id: str = "", message: str = "do it") -> SendMessageResponse:
    sent = SendMessageCommand(request_id=request_id or uuid4().hex, worker_id=worker, message=message)
    return await within(world.workflow_client.send_message(sent), 20)


async def insisted(world: World, worker: str, request_id: str) -> SendMessageResponse:
    """The answer; a message that is refused for now is sent again, as the activity that sends it does."""
    while True:
        try:
            return await told(world, worker, request_id, request_id)
        except OrchestratorError as error:
            if not error.retryable:
                raise


async def refusal(world: World, worker: str, request_id: str) -> ErrorCode:
    with pytest.raises(OrchestratorError) as refused:
        await told(world, worker, request_id)
    return refused.value.code


async def taken(handle: WorkflowHandle, worker: str, request_id: str) -> WorkflowUpdateHandle[SendMessageResponse]:
    """A message that the agent worker has taken in and has not answered yet."""
    sent = SendMessageCommand(request_id=request_id, worker_id=worker, message="do it")
    return await within(
        handle.start_update(
            UpdateName.SEND_MESSAGE,
            sent,
            id=request_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            result_type=SendMessageResponse,
        ),
        20,
    )


async def given(handle: WorkflowHandle, worker: str, path: str, request_id: str = "") -> SendFileResponse:
    sent = SendFileCommand(request_id=request_id or uuid4().hex, worker_id=worker, path=path, content="text")
    return await within(handle.execute_update(UpdateName.SEND_FILE, sent, result_type=SendFileResponse), 20)


async def deleted(world: World, worker: str, handle: WorkflowHandle) -> AgentWorkerResult:
    await within(world.workflow_client.delete_worker(worker, uuid4().hex), 20)
    return AgentWorkerResult.model_validate(await within(handle.result(), 20))


async def run_id(handle: WorkflowHandle) -> str:
    return str((await handle.describe()).run_id)


async def test_an_agent_works_in_a_plain_folder_and_nothing_is_pushed(world: World) -> None:
    worker, handle = await started(world)
    assert (await given(handle, worker, "notes/a.md")).success
    answer = await told(world, worker)
    assert (answer.success, answer.outcome and answer.outcome.commit) == (True, None)
    assert (await deleted(world, worker, handle)).turns == 1
    assert [(request.repository, request.branch) for request in world.workspaces.prepared] == [(None, "")]
    assert world.workspaces.files["notes/a.md"] == "text"
    assert not world.workspaces.push_step.started.is_set()
    assert world.workspaces.removed == [worker]


async def test_each_turn_has_the_capabilities_and_the_profile_of_its_agent_worker(world: World) -> None:
    config = WorkerConfig(name="notes", agent=AgentKind.SCRIPTED, capabilities=["github"], profile=AgentProfile.DEVOPS)
    worker, handle = await started(world, config=config)
    await told(world, worker)
    [turn] = world.runtime.turns
    assert (turn.capabilities, turn.profile) == (["github"], AgentProfile.DEVOPS)
    await deleted(world, worker, handle)


@pytest.mark.parametrize("context", [{}, CLONE], ids=["folder", "clone"])
async def test_a_worker_of_many_messages_continues_as_new_and_goes_on_as_the_same(
    world: World, context: dict[str, str]
) -> None:
    worker, handle = await started(world, updates_per_run=2, context=context | {"task_markdown": "# Notes"})
    first_run = await run_id(handle)
    answers = [await told(world, worker) for _ in range(5)]
    assert await run_id(handle) != first_run
    assert [request.turn for request in world.runtime.turns] == [1, 2, 3, 4, 5]
    assert [request.session_id for request in world.runtime.turns] == [None, *["session-1"] * 4]
    assert all(
        (answer.outcome is not None and answer.outcome.commit is not None) == bool(context) for answer in answers
    )
    assert len(world.workspaces.prepared) == 1
    assert world.workspaces.removed == []
    status = AgentWorkerStatus.model_validate(await handle.query(QueryName.STATUS))
    assert (status.turns, status.session_id) == (5, "session-1")
    assert (await deleted(world, worker, handle)).turns == 5
    assert world.workspaces.removed == [worker]


async def test_a_request_that_comes_again_in_a_later_run_gets_the_same_answer_and_no_turn(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary=f"answer {n}") for n in range(4)]
    worker, handle = await started(world, updates_per_run=1)
    answers = {name: await told(world, worker, name) for name in ("a", "b", "c")}
    file = await given(handle, worker, "../outside", "f")
    assert await told(world, worker, "d") is not None
    for name, answer in answers.items():
        assert await told(world, worker, name) == answer
    assert await given(handle, worker, "../outside", "f") == file
    assert len(world.runtime.turns) == 4


async def test_an_id_of_a_message_is_refused_for_a_file_and_the_other_way_round(world: World) -> None:
    worker, handle = await started(world, updates_per_run=2)
    first_run = await run_id(handle)
    await told(world, worker, "message-1")
    with pytest.raises(WorkflowUpdateFailedError):
        await given(handle, worker, "a.md", request_id="message-1")
    assert (await given(handle, worker, "a.md", request_id="file-1")).success

    async def has_continued() -> bool:
        return await run_id(handle) != first_run

    await eventually(has_continued)
    assert await refusal(world, worker, "file-1") is ErrorCode.CONFLICT
    with pytest.raises(WorkflowUpdateFailedError):
        await given(handle, worker, "a.md", request_id="message-1")
    assert (await deleted(world, worker, handle)).turns == 1


async def test_a_request_whose_answer_is_no_longer_kept_is_refused_and_not_carried_out_again(world: World) -> None:
    long = "x" * 19_000
    world.runtime.scripts = [TurnOutcome(status="done", turn=1, summary=long, question=long) for _ in range(5)]
    worker, _ = await started(world, updates_per_run=5)
    for name in "abcde":
        await told(world, worker, name)
    assert (await told(world, worker, "e")).response == long
    assert await refusal(world, worker, "a") is ErrorCode.CONFLICT
    assert len(world.runtime.turns) == 5


async def test_messages_that_come_all_the_time_are_each_taken_once(world: World) -> None:
    worker, handle = await started(world, updates_per_run=4)

    async def talk(speaker: int) -> list[SendMessageResponse]:
        return [await insisted(world, worker, f"{speaker}-{number}") for number in range(5)]

    answers = await asyncio.gather(*(talk(speaker) for speaker in range(3)))
    assert all(answer.success for said in answers for answer in said)
    assert sorted(request.message for request in world.runtime.turns) == sorted(
        f"{speaker}-{number}" for speaker in range(3) for number in range(5)
    )
    assert (await deleted(world, worker, handle)).turns == 15


async def test_a_run_that_has_had_enough_takes_no_more_before_everybody_has_their_answer(world: World) -> None:
    world.runtime.step = Step(held=True)
    worker, handle = await started(world, updates_per_run=1)
    run, waiting = await run_id(handle), [await taken(handle, worker, name) for name in "ab"]
    assert await refusal(world, worker, "c") is ErrorCode.WORKFLOW_BUSY
    assert await run_id(handle) == run
    world.runtime.step.released.set()
    assert all([(await within(one.result(), 20)).success for one in waiting])
    assert (await insisted(world, worker, "c")).success
    assert await run_id(handle) != run
    assert len(world.runtime.turns) == 3


async def test_more_than_may_wait_are_refused_and_a_delete_gets_in(world: World) -> None:
    world.runtime.step = Step(held=True)
    worker, handle = await started(world, max_waiting=2)
    waiting = [await taken(handle, worker, name) for name in "ab"]
    assert await refusal(world, worker, "c") is ErrorCode.WORKFLOW_BUSY
    await deleted(world, worker, handle)
    assert not any([(await within(one.result(), 20)).success for one in waiting])


async def test_a_cancel_of_the_parent_reaches_the_turn_of_a_later_run(world: World) -> None:
    run, queue = command(updates_per_run=1), f"parents-{uuid4().hex[:8]}"
    worker = str(run.worker_id)
    parents = Worker(
        world.client, task_queue=queue, workflows=[ParentWorkflow], workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with parents:
        parent = await world.client.start_workflow(ParentWorkflow.run, run, id=f"parent-{worker}", task_queue=queue)
        handle = world.handle(ids.agent_worker_workflow_id(worker))
        await eventually(lambda: _is_there(handle), timeout=20)
        for name in "ab":
            await told(world, worker, name)
        world.runtime.step = Step(held=True)
        sent = asyncio.ensure_future(told(world, worker, "c"))
        await world.runtime.step.reached()
        await parent.cancel()
        assert not (await sent).success
        await within(world.runtime.step.stopped.wait(), 20)
        for one in (handle, parent):
            with pytest.raises(WorkflowFailureError) as ended:
                await within(one.result(), 20)
            assert isinstance(ended.value.cause, CancelledError)
    assert world.workspaces.removed == [worker]


async def _is_there(handle: WorkflowHandle) -> bool:
    try:
        await handle.describe()
    except RPCError:
        return False
    return True
