"""Who reaches Temporal without a key starts nothing, tells nothing, answers nothing and orders no step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from contracts.errors import ErrorCode, OrchestratorError
from runtime.keyring import KeyRing
from runtime.temporal.authenticity import AuthenticityInterceptor
from runtime.temporal.converter import build_data_converter
from tests.integration.runtime.commanded import RESTRICTIONS, Handle, Place, new_id, place, sandbox
from tests.support.eventually import eventually
from tests.support.workflows.sealed_workflows import DONE, WORKFLOWS, CommandedWorkflow, ThiefWorkflow

REFUSED = ErrorCode.PAYLOAD_NOT_AUTHENTIC


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with place(tmp_path_factory.mktemp("commanded")) as ready:
        yield ready


@pytest.fixture
def order() -> str:
    """What a stranger wants to have done; nothing but this test says it."""
    return f"the stranger's {uuid4()}"


async def is_refused(handle: Handle) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == REFUSED.value, caught.value.cause.message


async def goes_on(handle: Handle, expected: list[str]) -> None:
    """The workflow is unharmed: it still hears us, ends as it should, and no workflow task of it has failed."""
    await handle.signal("say", "stop")
    assert await handle.result() == expected
    history = await handle.fetch_history()
    assert not any(event.HasField("workflow_task_failed_event_attributes") for event in history.events)


async def start_payload(handle: Handle) -> Payload:
    history = await handle.fetch_history()
    return history.events[0].workflow_execution_started_event_attributes.input.payloads[0]


async def test_a_start_with_a_plain_payload_does_nothing(here: Place, order: str) -> None:
    await is_refused(await here.enemy_starts(order))
    assert order not in DONE


async def test_a_start_without_any_payload_ends_at_once(here: Place) -> None:
    handle = await here.enemy.start_workflow("test.commanded", id=new_id(), task_queue=here.queue)
    await is_refused(here.ours.get_workflow_handle(handle.id))


async def test_a_plain_signal_is_dropped_and_the_workflow_goes_on(here: Place, order: str) -> None:
    handle = await here.start("hello")
    await here.enemy.get_workflow_handle(handle.id).signal("say", order)
    await goes_on(handle, ["hello"])
    assert order not in DONE


async def test_a_history_with_dropped_signals_is_replayed_alike(here: Place, order: str) -> None:
    handle = await here.start("hello")
    await here.enemy.get_workflow_handle(handle.id).signal("say", order)
    await here.enemy.get_workflow_handle(handle.id).signal("say")
    await goes_on(handle, ["hello"])
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=build_data_converter(KeyRing.load(here.key_file)),
        workflow_runner=sandbox(),
        interceptors=[AuthenticityInterceptor()],
    )
    await replayer.replay_workflow(await handle.fetch_history())


async def test_a_plain_update_is_refused_and_the_workflow_goes_on(here: Place, order: str) -> None:
    handle = await here.start("hello")
    with pytest.raises(WorkflowUpdateFailedError):
        await here.enemy.get_workflow_handle(handle.id).execute_update("order", order)
    await goes_on(handle, ["hello"])
    assert order not in DONE


@pytest.mark.parametrize("kind", ["signal", "update"])
async def test_a_message_without_any_payload_is_no_message(here: Place, kind: str) -> None:
    """Nothing to decrypt would be nothing to prove."""
    handle = await here.start("hello")
    enemy = here.enemy.get_workflow_handle(handle.id)
    if kind == "signal":
        await enemy.signal("say")
    else:
        with pytest.raises(WorkflowUpdateFailedError):
            await enemy.execute_update("order")
    await goes_on(handle, ["hello"])


async def test_what_was_sealed_for_another_workflow_starts_nothing(here: Place) -> None:
    secret = f"of another {uuid4()}"
    victim = await here.start(secret)
    await eventually(lambda: DONE.count(secret) == 1)
    copied = RawValue(await start_payload(victim))
    await is_refused(await here.enemy_starts(copied))
    # A name that looks like one of a run of a Schedule opens nothing either.
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    await is_refused(await here.enemy_starts(copied, f"{victim.id}-{moment}"))
    await goes_on(victim, [secret])
    assert DONE.count(secret) == 1


async def test_what_was_sealed_for_another_workflow_tells_nothing(here: Place) -> None:
    secret = f"of another {uuid4()}"
    victim, other = await here.start("hello"), await here.start("good day")
    await victim.signal("say", secret)
    await eventually(lambda: DONE.count(secret) == 1)
    signalled = next(
        event.workflow_execution_signaled_event_attributes.input.payloads[0]
        for event in (await victim.fetch_history()).events
        if event.HasField("workflow_execution_signaled_event_attributes")
    )
    enemy = here.enemy.get_workflow_handle(other.id)
    await enemy.signal("say", RawValue(signalled))
    with pytest.raises(WorkflowUpdateFailedError):
        await enemy.execute_update("order", RawValue(signalled))
    await goes_on(other, ["good day"])
    await goes_on(victim, ["hello", secret])
    assert DONE.count(secret) == 1


async def test_a_strangers_workflow_has_no_step_done_by_our_workers(here: Place, order: str) -> None:
    victim = await here.start("hello")
    copied = await start_payload(victim)
    payloads = [copied, (await here.enemy.data_converter.encode([order]))[0]]
    before = list(DONE)
    async with Worker(
        here.enemy,
        task_queue=f"queue-{uuid4()}",
        workflows=[ThiefWorkflow],
        workflow_runner=SandboxedWorkflowRunner(restrictions=RESTRICTIONS),
    ) as thieves:
        for payload in payloads:
            handle = await here.enemy.start_workflow(
                ThiefWorkflow.run,
                args=[here.queue, RawValue(payload)],
                id=new_id(),
                task_queue=thieves.task_queue,
            )
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
            assert isinstance(caught.value.cause, ActivityError)
    assert [done for done in DONE[len(before) :] if done != "hello"] == []
    await goes_on(victim, ["hello"])


async def test_a_step_that_belongs_to_no_workflow_is_not_done(here: Place, order: str) -> None:
    victim = await here.start("hello")
    for argument in (order, RawValue(await start_payload(victim))):
        with pytest.raises(Exception, match=r"(?i)activity") as caught:
            await here.enemy.execute_activity(
                "test.effect",
                argument,
                id=f"step-{uuid4()}",
                task_queue=here.queue,
                start_to_close_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        assert "Unimplemented" not in str(caught.value)
    assert order not in DONE
    await goes_on(victim, ["hello"])


@pytest.mark.parametrize("data", ["plain", "of another workflow", "none at all"])
async def test_a_step_that_a_stranger_completes_is_not_believed(here: Place, order: str, data: str) -> None:
    handle, other = await here.start("wait"), await here.start(order)
    await eventually(lambda: order in DONE)
    copied = RawValue(await start_payload(other))
    result = {"plain": [order], "of another workflow": [copied], "none at all": []}[data]
    step = here.enemy.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id="step-wait")
    await eventually(lambda: _waits(handle))
    await step.complete(*result)
    await is_refused(handle)
    await goes_on(other, [order])


@pytest.mark.parametrize("details", [({"to": "somebody"},), ()], ids=["with details", "with words only"])
async def test_a_step_that_a_stranger_fails_is_reported_as_not_ours(
    here: Place, order: str, details: tuple[object, ...]
) -> None:
    handle = await here.start("wait")
    await eventually(lambda: _waits(handle))
    step = here.enemy.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id="step-wait")
    await step.fail(ApplicationError(order, *details, type="STOPPED_BY_PERSON", non_retryable=True))
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ActivityError)
    assert isinstance(caught.value.cause.cause, ApplicationError)
    assert caught.value.cause.cause.type == REFUSED.value
    assert order not in str(caught.value.cause.cause)


async def _waits(handle: Handle) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(step.activity_id == "step-wait" and step.attempt for step in pending)


async def test_the_answers_of_a_strangers_worker_are_not_believed(here: Place) -> None:
    """Whoever takes work from a queue can answer only what he cannot seal."""
    async with Worker(
        here.enemy,
        task_queue=f"queue-{uuid4()}",
        workflows=[CommandedWorkflow],
        workflow_runner=SandboxedWorkflowRunner(restrictions=RESTRICTIONS),
    ) as worker:
        handle = await here.enemy.start_workflow("test.commanded", "stop", id=new_id(), task_queue=worker.task_queue)
        await handle.result()
        ours = here.ours.get_workflow_handle(handle.id)
        with pytest.raises(OrchestratorError) as caught:
            await ours.result()
        assert caught.value.code is REFUSED
        with pytest.raises(OrchestratorError) as caught:
            await ours.query("done")
        assert caught.value.code is REFUSED
