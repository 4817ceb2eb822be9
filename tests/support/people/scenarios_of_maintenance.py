"""What the platform does without being asked, at a pace that people can watch."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from contracts.maintenance import MaintenancePlan
from contracts.names import Queue, SignalName, WorkflowName
from tests.support.eventually import eventually
from tests.support.people.story import Story
from tests.support.stack import Stack

_BRISK = MaintenancePlan(every_s=0.5, stretch_s=1.5, stretches=3)
_CHANGED = MaintenancePlan(every_s=0.4, stretch_s=1.2, stretches=1_000)
_Run = WorkflowHandle[object, object]


async def maintenance(stack: Stack) -> Story:
    """Maintenance, beside the platform's own, looks several times and goes on as a new run with another plan, which is
    cancelled; and a round of housekeeping."""
    story, client = await Story.begin(stack), await stack.client()
    workflow_id = f"maintenance-{uuid4().hex[:8]}"
    started: _Run = await client.start_workflow(
        WorkflowName.MAINTENANCE, _BRISK, id=workflow_id, task_queue=Queue.ORCHESTRATOR
    )
    await started.signal(SignalName.PLAN, _CHANGED)
    first = str(started.first_execution_run_id)
    story.seen["first"] = await _end_of(client.get_workflow_handle(workflow_id, run_id=first))
    second = str((await client.get_workflow_handle(workflow_id).describe()).run_id)
    newest: _Run = client.get_workflow_handle(workflow_id, run_id=second)
    await eventually(lambda: _has_looked(newest), 60, message=f"a stretch of {workflow_id}")
    await newest.cancel()
    story.seen["second"] = await _end_of(newest)
    tidied = await _housekeeping(client)
    story.seen["housekeeping"] = await _end_of(client.get_workflow_handle(tidied[0], run_id=tidied[1]))
    story.runs += [
        (WorkflowName.MAINTENANCE, "continued-as-new", workflow_id, first),
        (WorkflowName.MAINTENANCE, "cancelled", workflow_id, second),
        (WorkflowName.HOUSEKEEPING, "happy", *tidied),
    ]
    return story


async def _end_of(run: _Run) -> str:
    """How a run has ended, once it has."""

    async def ended() -> str:
        status = (await run.describe()).status
        return status.name if status not in {None, WorkflowExecutionStatus.RUNNING} else ""

    return await eventually(ended, 60, message=f"the end of a run of {run.id}")


async def _has_looked(run: _Run) -> bool:
    history = await run.fetch_history()
    return any(event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED for event in history.events)


async def _housekeeping(client: Client) -> tuple[str, str]:
    """Workflow and run that the Schedule starts now."""
    schedule = client.get_schedule_handle(WorkflowName.HOUSEKEEPING)

    async def runs() -> set[tuple[str, str]]:
        actions = [one.action for one in (await schedule.describe()).info.recent_actions]
        return {(one.workflow_id, one.first_execution_run_id) for one in actions}

    before = await runs()
    await schedule.trigger()
    started: set[tuple[str, str]] = set()

    async def is_there() -> bool:
        started.update(await runs() - before)
        return bool(started)

    await eventually(is_there, 60, message="a run of housekeeping")
    return started.pop()


SCENARIOS: dict[str, Callable[[Stack], Awaitable[Story]]] = {"maintenance": maintenance}
