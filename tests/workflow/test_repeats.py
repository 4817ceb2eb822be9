"""Work that has ended is not done again for a process that reaches Temporal: with a copy, by a reset, step by step."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from contracts import ids
from contracts.agent_workers import TurnOutcome
from contracts.errors import ErrorCode
from contracts.names import ActivityName, Queue, WorkflowName
from contracts.states import DeployAction, TaskKind, TaskState
from tests.support.eventually import eventually
from tests.support.workflows.sealed_workflows import ForgedEndWorkflow, StepThiefWorkflow
from tests.support.workflows.workflow_world import World
from tests.workflow.background.test_maintenance import end_of, maintained

A = "a" * 40
RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules("tests.support", "contracts", "pydantic")


@pytest.fixture
async def stranger(world: World) -> Client:
    return await Client.connect(world.client.service_client.config.target_host, data_converter=pydantic_data_converter)


async def is_over(handle: WorkflowHandle[Any, Any]) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    cause: BaseException | None = caught.value.cause
    while isinstance(cause, ActivityError | ChildWorkflowError):
        cause = cause.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == ErrorCode.CONFLICT.value, cause.message


async def stopped_once(world: World) -> WorkflowHandle[Any, Any]:
    """A service that was put online, stopped and put online again; the run that has stopped it."""
    await world.handle((await world.gateway.start_deploy(world.deploy(commit=A))).workflow_id).result()
    message = world.deploy(action=DeployAction.STOP)
    handle = world.handle((await world.gateway.start_deploy(message)).workflow_id)
    await handle.result()
    run_id = (await handle.describe()).run_id
    await world.handle((await world.gateway.start_deploy(world.deploy(commit="b" * 40))).workflow_id).result()
    return world.client.get_workflow_handle(handle.id, run_id=run_id)


async def start_payload(handle: WorkflowHandle[Any, Any]) -> Payload:
    events = (await handle.fetch_history()).events
    return events[0].workflow_execution_started_event_attributes.input.payloads[0]


async def test_the_copied_start_of_a_stop_stops_nothing_again(world: World, stranger: Client) -> None:
    stopping = await stopped_once(world)
    copied = RawValue(await start_payload(stopping))
    await stranger.start_workflow(WorkflowName.DEPLOY, copied, id=stopping.id, task_queue=Queue.ORCHESTRATOR)
    await is_over(world.handle(stopping.id))
    assert world.target.operations == ["stop"]


@pytest.mark.parametrize("name", [WorkflowName.DELIVERY, WorkflowName.ENGINEERING])
async def test_the_copied_start_of_a_wish_builds_nothing_again(world: World, stranger: Client, name: str) -> None:
    if name == WorkflowName.DELIVERY:
        task_id = (delivery := world.delivery()).task_id
        done = world.handle((await world.gateway.start_delivery(delivery)).workflow_id)
    else:
        task_id = (engineering := world.engineering()).task_id
        done = world.handle((await world.gateway.start_engineering(engineering)).workflow_id)
    await done.result()
    turns, told = len(world.runtime.turns), len(world.platform.projections)
    copied = RawValue(await start_payload(done))
    await stranger.start_workflow(name, copied, id=done.id, task_queue=Queue.ORCHESTRATOR)
    await is_over(world.handle(done.id))
    assert (len(world.runtime.turns), len(world.platform.projections)) == (turns, told)
    assert world.platform.state(task_id) is TaskState.COMPLETED


@pytest.mark.parametrize("to_the", [0, 1, -2])
async def test_a_stop_that_is_reset_stops_nothing_again(world: World, stranger: Client, to_the: int) -> None:
    """A reset needs no payload: whoever reaches the server may order it."""
    stopping = await stopped_once(world)
    kind = "workflow_task_completed_event_attributes"
    events = (await stopping.fetch_history()).events
    completed = [event.event_id for event in events if event.HasField(kind)]  # type: ignore[arg-type] # a name
    execution = WorkflowExecution(workflow_id=stopping.id, run_id=stopping.run_id)
    reply = await stranger.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default", workflow_execution=execution, workflow_task_finish_event_id=completed[to_the],
            request_id=str(uuid4()), reason="a stranger",
        )
    )  # fmt: skip
    again = world.client.get_workflow_handle(stopping.id, run_id=reply.run_id)
    if to_the == -2:
        # What is left is to write the end, which is written already.
        await again.result()
    else:
        await is_over(again)
    assert world.target.operations == ["stop"]


async def delivered(world: World) -> dict[str, WorkflowHandle[Any, Any]]:
    """The workflows of a delivery that has ended, by what they do."""
    message = world.delivery()
    started = await world.gateway.start_delivery(message)
    await world.handle(started.workflow_id).result()
    task_id = ids.child_task_id(message.task_id, TaskKind.ENGINEERING)
    return {
        "engineering": world.handle(ids.engineering_workflow_id(task_id)),
        "agent": world.handle(ids.agent_worker_workflow_id(ids.worker_id_for_task(task_id))),
        "deploy": world.deploy_handle(),
    }


@pytest.mark.parametrize(
    ("where", "step"),
    [
        ("agent", ActivityName.AGENT_RUN_TURN),
        ("engineering", "publish"),
        ("deploy", "deploy"),
        ("deploy", "promote"),
    ],
)
async def test_a_step_of_a_delivery_that_has_ended_is_not_done_again(
    world: World, stranger: Client, where: str, step: str
) -> None:
    done = (await delivered(world))[where]
    before = seen(world)
    ended = await stolen(done, step, stranger)
    assert ended.activity_task_failed_event_attributes.failure.application_failure_info.type == ErrorCode.CONFLICT.value
    assert seen(world) == before


def seen(world: World) -> tuple[object, ...]:
    """What people could notice."""
    turns, released = len(world.runtime.turns), list(world.target.released)
    return turns, dict(world.forge.effects), released, dict(world.platform.books)


async def test_a_step_is_not_done_again_for_a_workflow_that_has_only_the_name(world: World, stranger: Client) -> None:
    ended = await stolen(await stopped_once(world), ActivityName.DEPLOYMENT_OPERATE, stranger)
    assert ended.activity_task_failed_event_attributes.failure.application_failure_info.type == ErrorCode.CONFLICT.value
    assert world.target.operations == ["stop"]


async def stolen(done: WorkflowHandle[Any, Any], step: str, stranger: Client) -> HistoryEvent:
    """How a step ends that a stranger orders, with the id and the input of one that is done."""
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in (await done.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    names = [one.activity_type.name for one in scheduled]
    ordered = next((one for one in scheduled if one.activity_type.name.split(".")[-1] == step.split(".")[-1]), None)
    assert ordered is not None, names
    async with Worker(
        stranger,
        task_queue=f"queue-{uuid4()}",
        workflows=[StepThiefWorkflow],
        workflow_runner=SandboxedWorkflowRunner(restrictions=RESTRICTIONS),
    ) as thief:
        handle = await stranger.start_workflow(
            StepThiefWorkflow.run,
            args=[ordered.task_queue.name, ordered.activity_type.name, RawValue(ordered.input.payloads[0])],
            id=done.id,
            task_queue=thief.task_queue,
        )
        [ended] = await eventually(lambda: _ends(handle), timeout=20)
        await handle.terminate()
        return ended


async def _ends(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    """How the server has recorded the end of steps; the thief cannot read it."""
    names = ("activity_task_failed_event_attributes", "activity_task_completed_event_attributes")
    return [event for event in (await handle.fetch_history()).events if event.WhichOneof("attributes") in names]


@pytest.mark.parametrize("well", [True, False])
async def test_a_task_does_not_end_as_a_stranger_says(world: World, stranger: Client, well: bool) -> None:
    """He takes the run from the queue and ends it; the platform compares open tasks with what Temporal tells."""
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message, says = world.engineering(), "http://evil.example"
    await world.gateway.start_engineering(message)
    await world.question(message.task_id)
    async with Worker(stranger, task_queue=f"queue-{uuid4()}", workflows=[ForgedEndWorkflow],
                      workflow_runner=SandboxedWorkflowRunner(restrictions=RESTRICTIONS)) as thief:  # fmt: skip
        forged = await stranger.start_workflow(
            ForgedEndWorkflow.run, args=[says, well], id=f"engineering/{uuid4().hex}", task_queue=thief.task_queue
        )
        await asyncio.wait({asyncio.ensure_future(forged.result())})
    run_id = (await forged.describe()).run_id
    world.platform.open = {message.task_id: {"workflow_id": forged.id, "run_id": run_id}}
    await maintained(world)
    last = await end_of(world, message.task_id)
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.PAYLOAD_NOT_AUTHENTIC)
    assert says not in last.model_dump_json()
