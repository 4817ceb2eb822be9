"""What runs without being asked: the workflow `maintenance` every minute, and Schedules from five minutes up.

A Schedule starts a workflow each time, and records that itself, too: at one a minute, the histories of a month would
take gigabytes. `ensure` may be repeated by anybody at any time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from contracts.backups import BackupOrder
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.maintenance import HousekeepingPlan, MaintenancePlan
from contracts.names import Queue, SignalName, WorkflowName
from contracts.steps import Step

MAINTENANCE_ID = "maintenance"
SHORTEST = timedelta(minutes=5)
_RPC_TIMEOUT = timedelta(seconds=5)
_CATCH_UP = timedelta(minutes=1)
"""Runs that were missed for longer are not made up for: the next one does their work. Where the next one is far away,
`Regular.catch_up` says more."""


@dataclass(frozen=True)
class Regular:
    """A workflow that is started with `order` at an interval. Its name is also the id of its Schedule."""

    workflow: str
    order: Step
    every: timedelta
    summary: str
    catch_up: timedelta = _CATCH_UP

    def __post_init__(self) -> None:
        if self.every < SHORTEST:
            raise ValueError(f"{self.workflow}: what runs more often than every five minutes belongs to maintenance")


REGULAR = (
    Regular(
        WorkflowName.HOUSEKEEPING,
        HousekeepingPlan(),
        timedelta(hours=1),
        "Delete expired tokens of agents and old marks of chats",
    ),
)
OPTIONAL: Final = frozenset({WorkflowName.BACKUP})
"""Schedules that depend on settings."""


def backups(every: timedelta) -> Regular:
    """A backup every so often. The one that was missed while the platform was down is made once, when it is back."""
    return Regular(WorkflowName.BACKUP, BackupOrder(), every, "Back up the whole installation", catch_up=every)


async def ensure(client: Client, plan: MaintenancePlan, regular: Sequence[Regular] = REGULAR) -> list[str]:
    """Start what does not run, give `plan` to the maintenance that does, and create or correct the Schedules.

    A Schedule of OPTIONAL that is not among `regular` is deleted; one that a person has paused stays paused. Returns
    the ids of what is there now. Raises OrchestratorError TEMPORAL_UNREACHABLE (transient).
    """
    try:
        await _maintain(client, plan)
        for one in regular:
            await _schedule(client, one)
        for name in OPTIONAL.difference(one.workflow for one in regular):
            await _withdraw(client, name)
    except RPCError as error:
        raise OrchestratorError(
            ErrorCode.TEMPORAL_UNREACHABLE,
            f"Maintenance and Schedules could not be set up: Temporal answered {error.status.name}.",
            error_class=ErrorClass.TRANSIENT,
            details={"rpc": error.message},
        ) from error
    return [MAINTENANCE_ID, *(one.workflow for one in regular)]


async def _maintain(client: Client, plan: MaintenancePlan) -> None:
    await client.start_workflow(
        WorkflowName.MAINTENANCE,
        plan,
        id=MAINTENANCE_ID,
        task_queue=Queue.ORCHESTRATOR,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=SignalName.PLAN,
        start_signal_args=[plan],
        static_summary="Maintenance: compares open tasks with Temporal",
        rpc_timeout=_RPC_TIMEOUT,
    )


async def _schedule(client: Client, one: Regular) -> None:
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(
            one.workflow, one.order, id=one.workflow, task_queue=Queue.ORCHESTRATOR, static_summary=one.summary
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=one.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=one.catch_up),
    )

    def corrected(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        known = found.description.schedule
        if _is_as_wanted(known, wanted):
            return None
        wanted.state = known.state
        return ScheduleUpdate(schedule=wanted)

    try:
        await client.create_schedule(one.workflow, wanted, rpc_timeout=_RPC_TIMEOUT)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(one.workflow).update(corrected, rpc_timeout=_RPC_TIMEOUT)


async def _withdraw(client: Client, name: str) -> None:
    try:
        await client.get_schedule_handle(name).delete(rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _is_as_wanted(known: Schedule, wanted: Schedule) -> bool:
    def facts(schedule: Schedule) -> tuple[object, ...]:
        action = schedule.action
        started = (action.workflow, action.task_queue) if isinstance(action, ScheduleActionStartWorkflow) else None
        intervals = [interval.every for interval in schedule.spec.intervals]
        return started, intervals, schedule.policy.overlap, schedule.policy.catchup_window

    return facts(known) == facts(wanted)
