"""Payloads are sealed for one workflow, and every way in which the product passes them on still opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowFailureError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from contracts.errors import ErrorCode
from runtime.keyring import KeyRing
from runtime.temporal.codec import REFUSED, SEALED_FOR, EncryptionCodec
from runtime.temporal.converter import build_data_converter
from tests.integration.runtime.commanded import (
    RESTRICTIONS,
    Handle,
    Place,
    new_id,
    payloads_of,
    place,
    sandbox,
    stored,
)
from tests.support.eventually import eventually
from tests.support.workflows.sealed_workflows import WORKFLOWS


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with place(tmp_path_factory.mktemp("sealed")) as ready:
        yield ready


@pytest.fixture(scope="module")
async def family(here: Place) -> tuple[Handle, Handle]:
    """A parent and its child, both at their end."""
    child_id = new_id()
    parent: Handle = await here.ours.start_workflow(
        "test.parent", child_id, id=new_id(), task_queue=here.queue, memo={"why": "a test"}, static_summary="A parent"
    )
    assert await parent.result() == {
        "child": ["opening", "from the parent", "from afar"],
        "failure": ["fail on purpose", [{"told": "fail on purpose"}]],
        "local": "locally",
        "remembered": "a step, half done",
    }
    return parent, here.ours.get_workflow_handle(child_id)


def sealed_for(payload: Payload) -> str:
    return payload.metadata[SEALED_FOR].decode()


async def test_each_payload_names_the_workflow_that_reads_it(family: tuple[Handle, Handle]) -> None:
    parent, child = family
    events = (await child.fetch_history()).events
    assert {sealed_for(payload) for event in events for payload in payloads_of(event) if not _is_summary(event)} == {
        f"workflow:{child.id}"
    }
    ids = {sealed_for(payload) for payload in await stored(parent)}
    assert ids == {f"workflow:{parent.id}", f"workflow:{child.id}", f"workflow:{child.id}/failing"}


def _is_summary(event: object) -> bool:
    """The summary of a child is written by its parent: the SDK seals it for the parent."""
    return bool(event.HasField("user_metadata"))  # type: ignore[attr-defined] # a message of protobuf


async def test_memo_and_summary_are_read_by_clients(here: Place, family: tuple[Handle, Handle]) -> None:
    parent, child = [await handle.describe() for handle in family]
    assert (await parent.memo(), await parent.static_summary()) == ({"why": "a test"}, "A parent")
    assert await child.memo() == {"from": "its parent"}


@pytest.mark.parametrize("outside", [True, False], ids=["our sandbox", "the SDK's own"])
async def test_both_sandboxes_find_the_same_workflow_for_each_payload(
    here: Place, family: tuple[Handle, Handle], outside: bool
) -> None:
    """Ours tells where a payload belongs without entering the sandbox; a wrong guess could not be opened here."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=build_data_converter(KeyRing.load(here.key_file)),
        workflow_runner=sandbox() if outside else SandboxedWorkflowRunner(restrictions=RESTRICTIONS),
    )
    for handle in family:
        await replayer.replay_workflow(await handle.fetch_history())


async def test_who_only_shows_payloads_opens_them_all(here: Place, family: tuple[Handle, Handle]) -> None:
    """As the codec of the Web UI does, which is told no workflow."""
    codec = EncryptionCodec(KeyRing.load(here.key_file))
    for handle in family:
        opened = await codec.decode(await stored(handle))
        assert opened
        assert not [payload for payload in opened if payload.metadata["encoding"] == REFUSED]


async def test_a_new_run_opens_what_the_old_one_has_passed_on(here: Place) -> None:
    handle = await here.start("renew")
    assert await handle.result() == []


async def test_a_reset_run_opens_what_its_first_run_was_told(here: Place) -> None:
    handle = await here.start("hello")
    await handle.signal("say", "stop")
    assert await handle.result() == ["hello"]
    finished = next(
        event.event_id
        for event in (await handle.fetch_history()).events
        if event.HasField("workflow_task_completed_event_attributes")
    )
    await here.ours.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=here.ours.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.result_run_id or ""),
            reason="a test",
            request_id=str(uuid4()),
            workflow_task_finish_event_id=finished,
        )
    )
    assert await here.ours.get_workflow_handle(handle.id).result() == ["hello"]


async def test_the_runs_of_a_schedule_open_what_it_was_made_with(here: Place) -> None:
    schedule = await _schedule(here)
    try:
        first = await _run_beside(here, schedule, None)
        assert await first.result() == []
        # The second run is given the result of the first one, and a changed input.
        await schedule.update(_with_another_input)
        await schedule.trigger()
        second = await _run_beside(here, schedule, first)
        with pytest.raises(WorkflowFailureError) as caught:
            await second.result()
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "TOLD_TO_FAIL"
        await _opens_for_nobody_else(here, first)
    finally:
        await schedule.delete()


async def _schedule(here: Place) -> ScheduleHandle:
    action = ScheduleActionStartWorkflow(
        "test.commanded", "stop", id=new_id(), task_queue=here.queue, memo={"why": "each hour"}, static_summary="Hourly"
    )
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])
    return await here.ours.create_schedule(
        f"schedule-{uuid4()}", Schedule(action=action, spec=spec), trigger_immediately=True, memo={"of": "a test"}
    )


def _with_another_input(known: ScheduleUpdateInput) -> ScheduleUpdate:
    action = known.description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    action.args = ["fail the second time"]
    return ScheduleUpdate(known.description.schedule)


async def _run_beside(here: Place, schedule: ScheduleHandle, known: Handle | None) -> Handle:
    """A run that a Schedule has started, other than the known one. Within one second they even have the same id."""

    async def started() -> Handle | None:
        info = (await schedule.describe()).info
        actions = [*info.running_actions, *(result.action for result in info.recent_actions)]
        runs = [one for one in actions if isinstance(one, ScheduleActionExecutionStartWorkflow)]
        others = [one for one in runs if known is None or one.first_execution_run_id != known.run_id]
        if not others:
            return None
        return here.ours.get_workflow_handle(others[0].workflow_id, run_id=others[0].first_execution_run_id)

    return await eventually(started, message="a run of the Schedule")


async def _opens_for_nobody_else(here: Place, run: Handle) -> None:
    history = await run.fetch_history()
    payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    assert sealed_for(payload).startswith("schedule:")
    handle = await here.enemy_starts(RawValue(payload))
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == ErrorCode.PAYLOAD_NOT_AUTHENTIC.value
