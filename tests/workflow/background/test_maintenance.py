"""No state outlives its workflow: open tasks are compared with Temporal, in one workflow that never ends."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from contracts.agent_workers import TurnOutcome
from contracts.errors import ErrorCode, OrchestratorError
from contracts.maintenance import HousekeepingPlan, MaintenancePlan
from contracts.names import WorkflowName
from contracts.progress import Projection
from contracts.states import ProjectStatus, QuestionState, TaskState
from runtime.temporal import background
from tests.support.eventually import eventually
from tests.support.workflows.fakes import Step
from tests.support.workflows.workflow_world import World

A, B = "a" * 40, "b" * 40
OFTEN = MaintenancePlan(every_s=0.05, stretch_s=30, silent_s=0)


async def maintained(world: World, plan: MaintenancePlan = OFTEN) -> WorkflowHandle:
    return await world.client.start_workflow(
        WorkflowName.MAINTENANCE, plan, id=f"maintenance-{uuid4().hex[:8]}", task_queue="orchestrator"
    )


async def rounds(world: World, count: int) -> None:
    wanted = world.platform.rounds + count
    await eventually(lambda: world.platform.rounds >= wanted, timeout=15)


async def end_of(world: World, task_id: str) -> Projection:
    await eventually(lambda: (world.platform.state(task_id) or TaskState.RUNNING).is_final, timeout=15)
    return world.platform.of(task_id)[-1]


async def deploying(world: World, **changes: object) -> tuple[str, str]:
    world.target.step = Step(held=True)
    message = world.deploy(**changes)
    started = await world.gateway.start_deploy(message)
    await world.target.step.reached()
    return message.task_id, started.workflow_id


async def test_the_task_of_a_terminated_workflow_ends(world: World) -> None:
    task_id, workflow_id = await deploying(world)
    world.platform.open = {task_id: {}}
    await maintained(world)
    await rounds(world, 2)
    assert world.platform.state(task_id) is TaskState.RUNNING, "a workflow that runs speaks for itself"
    await world.handle(workflow_id).terminate("an operator")
    last = await end_of(world, task_id)
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.WORKFLOW_LOST)
    assert "terminated" in str(last.error)
    assert last.project_status is ProjectStatus.FAILED


async def test_an_end_that_could_not_be_recorded_is_told_as_it_was(world: World) -> None:
    world.platform.refuses = lambda one: one.state.is_final
    world.target.broken.add(A)
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    with pytest.raises(WorkflowFailureError):
        await world.handle(started.workflow_id).result()
    world.platform.open, world.platform.refuses = {message.task_id: {}}, None
    await maintained(world)
    last = await end_of(world, message.task_id)
    assert (last.state, last.error_code) == (TaskState.FAILED, ErrorCode.PLAYBOOK_FAILED)
    assert "did not start" in str(last.error)


async def test_a_success_that_could_not_be_recorded_keeps_its_url(world: World) -> None:
    world.platform.refuses = lambda one: one.state.is_final
    message = world.deploy(commit=A)
    started = await world.gateway.start_deploy(message)
    await world.handle(started.workflow_id).result()
    world.platform.open, world.platform.refuses = {message.task_id: {}}, None
    await maintained(world)
    last = await end_of(world, message.task_id)
    assert last.state is TaskState.COMPLETED
    assert last.result["deployed_url"] == "http://127.0.0.1:18000"


async def test_a_later_deploy_of_the_project_does_not_speak_for_an_earlier_one(world: World) -> None:
    task_id, workflow_id = await deploying(world, commit=A)
    queued = world.deploy(commit=B)
    await world.gateway.start_deploy(queued)
    await eventually(lambda: world.platform.of(queued.task_id))
    await world.handle(workflow_id).terminate("an operator")
    world.platform.open = {task_id: {}, queued.task_id: {}}
    later, _ = await deploying(world, commit=A)
    world.platform.open[later] = {}
    await maintained(world)
    for one in (task_id, queued.task_id):
        assert (await end_of(world, one)).state is TaskState.FAILED
    await rounds(world, 2)
    assert world.platform.state(later) is TaskState.RUNNING


async def test_the_end_of_a_run_says_nothing_of_the_other_tasks_that_it_carried_out(world: World) -> None:
    world.platform.refuses = lambda one: one.state.is_final
    _, workflow_id = await deploying(world, commit=A)
    other = world.deploy(commit=B)
    await world.gateway.start_deploy(other)
    world.target.broken.add(B)
    world.target.step.released.set()
    await world.handle(workflow_id).result()
    world.platform.open, world.platform.refuses = {other.task_id: {}}, None
    await maintained(world)
    last = await end_of(world, other.task_id)
    assert (last.state, last.error_code, last.result) == (TaskState.FAILED, ErrorCode.WORKFLOW_LOST, {})


async def test_a_task_that_temporal_does_not_know_ends_and_its_question_is_withdrawn(world: World) -> None:
    world.runtime.scripts = [TurnOutcome(status="question", turn=1, question="Which fields?")]
    message = world.engineering()
    started = await world.gateway.start_engineering(message)
    await world.question(message.task_id)
    gone = {"workflow_id": f"engineering/{uuid4().hex}", "run_id": str(uuid4())}
    world.platform.open = {message.task_id: gone}
    await maintained(world)
    last = await end_of(world, message.task_id)
    assert last.question is not None
    assert (last.state, last.question.state) == (TaskState.FAILED, QuestionState.WITHDRAWN)
    assert "does not know" in str(last.error)
    await world.handle(started.workflow_id).terminate()


async def test_a_task_goes_on_after_a_reset_of_its_workflow(world: World) -> None:
    task_id, workflow_id = await deploying(world)
    world.platform.open = {task_id: {}}
    first = (await world.handle(workflow_id).describe()).run_id
    history = await world.handle(workflow_id).fetch_history()
    kind = "workflow_task_completed_event_attributes"
    completed = [event.event_id for event in history.events if event.HasField(kind)]
    await world.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=first),
            workflow_task_finish_event_id=completed[-1], request_id=str(uuid4()), reason="an operator",
        )
    )  # fmt: skip
    await maintained(world)
    await rounds(world, 3)
    assert world.platform.state(task_id) is TaskState.RUNNING
    world.target.step.released.set()
    await world.handle(workflow_id).result()
    assert world.platform.state(task_id) is TaskState.COMPLETED


async def test_a_round_that_fails_is_followed_by_the_next(world: World) -> None:
    away = OrchestratorError.transient(ErrorCode.API_UNREACHABLE, "away")
    world.platform.round_errors = [away, away]
    handle = await maintained(world)
    await rounds(world, 4)
    history = await handle.fetch_history()
    steps = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    assert steps.count("maintenance.watch") == 1, "an unavailable API costs no history"


async def test_a_stretch_that_fails_is_followed_by_the_next(world: World) -> None:
    world.platform.round_errors = [ZeroDivisionError("a bug")] * 4
    handle = await maintained(world)
    await rounds(world, 6)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_it_continues_as_new_with_the_newest_plan(world: World) -> None:
    handle = await maintained(world, OFTEN.model_copy(update={"stretch_s": 0.1, "stretches": 2}))
    first = (await handle.describe()).run_id
    await handle.signal("plan", OFTEN.model_copy(update={"stretch_s": 0.2, "stretches": 1}))
    current = world.handle(handle.id)

    async def other_run() -> bool:
        return (await current.describe()).run_id != first

    await eventually(other_run, timeout=15)
    old = await world.client.get_workflow_handle(handle.id, run_id=first).fetch_history()
    assert len(old.events) < 40


async def test_it_stops_at_once_when_its_worker_shuts_down_or_it_is_cancelled(world: World) -> None:
    handle = await maintained(world)
    await rounds(world, 1)
    await handle.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(WorkflowFailureError):
            await handle.result()


async def test_an_hour_of_rounds_is_less_than_a_dozen_events_of_history(world: World) -> None:
    handle = await maintained(world, MaintenancePlan(every_s=0.01, stretch_s=0.6, stretches=1_000, silent_s=0))
    await rounds(world, 40)
    history = await handle.fetch_history()
    stretches = sum(event.HasField("activity_task_scheduled_event_attributes") for event in history.events)
    assert len(history.events) <= 12 * stretches


# What runs without being asked is made by one command


REGULAR = (background.Regular(WorkflowName.HOUSEKEEPING, HousekeepingPlan(), timedelta(hours=1), "Tidy up"),)


async def test_the_command_may_be_repeated_and_makes_everything_once(world: World) -> None:
    there = [await background.ensure(world.client, OFTEN, REGULAR) for _ in range(3)]
    assert there == [["maintenance", "housekeeping"]] * 3
    await rounds(world, 1)
    first = (await world.handle("maintenance").describe()).run_id
    await asyncio.gather(*(background.ensure(world.client, OFTEN, REGULAR) for _ in range(4)))
    assert (await world.handle("maintenance").describe()).run_id == first
    schedule = world.client.get_schedule_handle("housekeeping")
    assert [one.every for one in (await schedule.describe()).schedule.spec.intervals] == [timedelta(hours=1)]
    await schedule.delete()


async def test_a_schedule_is_corrected_and_stays_paused(world: World) -> None:
    await background.ensure(world.client, OFTEN, REGULAR)
    schedule = world.client.get_schedule_handle("housekeeping")
    await schedule.pause(note="a person")
    changed = (background.Regular(WorkflowName.HOUSEKEEPING, HousekeepingPlan(), timedelta(minutes=10), "Tidy up"),)
    await background.ensure(world.client, OFTEN, changed)
    found = (await schedule.describe()).schedule
    assert ([one.every for one in found.spec.intervals], found.state.paused) == ([timedelta(minutes=10)], True)
    await schedule.delete()


async def test_housekeeping_is_a_run_of_its_own(world: World) -> None:
    result = await world.client.execute_workflow(
        WorkflowName.HOUSEKEEPING, HousekeepingPlan(), id=f"housekeeping-{uuid4().hex}", task_queue="orchestrator"
    )
    assert result == {"tokens": 2, "chat_updates": 1}


def test_what_runs_more_often_than_every_five_minutes_is_no_schedule() -> None:
    with pytest.raises(ValueError, match="maintenance"):
        background.Regular(WorkflowName.HOUSEKEEPING, HousekeepingPlan(), timedelta(minutes=1), "too often")


async def test_what_is_deployed_is_looked_at_although_the_other_rounds_fail(world: World) -> None:
    world.platform.round_errors = [ZeroDivisionError("a bug")] * 100
    message = world.deploy(commit=A)
    await world.handle((await world.gateway.start_deploy(message)).workflow_id).result()
    await maintained(world)
    [release] = await world.platform.active_releases()
    await eventually(lambda: world.platform.books[release.id].health is not None, timeout=15)
