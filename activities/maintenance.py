"""What the platform does for itself: the comparison of open tasks with Temporal, housekeeping, and backups."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.following import beating, goes_on
from activities.ports import Backups, Platform, WorkflowClient
from activities.rules import reconciling as rules
from contracts import ids
from contracts.backups import BackupMade, BackupRequest, BackupVerified, VerifyRequest
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.maintenance import HousekeepingPlan, MaintenancePlan, MaintenanceReport, OpenTask, Tidied
from contracts.names import ActivityName
from contracts.worker_steps import OpenWorker

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_TOLD = 100


@dataclass(frozen=True)
class MaintenanceActivities:
    platform: Platform
    workflow_client: WorkflowClient

    @activity.defn(name=ActivityName.MAINTENANCE_WATCH)
    async def watch(self, plan: MaintenancePlan) -> MaintenanceReport:
        """Make rounds until the stretch is over or the worker shuts down. A second run makes rounds of its own: what a
        round has done, the next one finds done."""
        clock = asyncio.get_running_loop().time
        until, rounds, failed, ended = clock() + plan.stretch_s, 0, 0, list[str]()
        while True:
            rounds += 1
            try:
                ended += await beating(self.reconcile(plan.silent_s))
            except OrchestratorError as error:
                failed += 1
                log.warning("open tasks could not be compared with Temporal", code=error.code.value, why=error.message)
            if not await goes_on(min(plan.every_s, until - clock())) or clock() >= until:
                return MaintenanceReport(rounds=rounds, failed=failed, ended=ended[-_TOLD:])

    @activity.defn(name=ActivityName.MAINTENANCE_TIDY)
    async def tidy(self, order: HousekeepingPlan) -> Tidied:
        """Delete what nobody can use any more; a second run finds nothing."""
        return await self.platform.tidy()

    async def reconcile(self, silent_s: float) -> list[str]:
        """Record the end of every task and agent worker whose workflow has ended without doing that; their ids.

        A workflow that says something meanwhile is right: its number is higher, and ours is refused.
        """
        now = utc_now()
        silent = [
            task for task in await self.platform.open_tasks() if (now - task.updated_at).total_seconds() >= silent_s
        ]
        workers = [
            one for one in await self.platform.open_workers() if (now - one.updated_at).total_seconds() >= silent_s
        ]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def settle(work: Awaitable[str | None]) -> str | None:
            async with gate:
                return await work

        settling = [*map(self._settle, silent), *map(self._settle_worker, workers)]
        settled = await asyncio.gather(*map(settle, settling), return_exceptions=True)
        for trouble in settled:
            if isinstance(trouble, BaseException):
                raise trouble  # the others are settled all the same
        return [task_id for task_id in settled if isinstance(task_id, str)]

    async def _settle(self, task: OpenTask) -> str | None:
        ending = await self.workflow_client.ending(task.workflow_id, task.run_id)
        if ending is None:
            return None
        projection = rules.end_of(task, ending, utc_now())
        ack = await self.platform.apply_projection(projection)
        if not ack.accepted:
            return None
        log.error(
            "a task had outlived its workflow; its end is recorded now",
            task_id=task.id,
            how=ending.how,
            state=projection.state.value,
        )
        return task.id

    async def _settle_worker(self, worker: OpenWorker) -> str | None:
        told = worker.told
        ending = await self.workflow_client.ending(ids.agent_worker_workflow_id(told.worker_id), told.run_id)
        if ending is None:
            return None
        ack = await self.platform.record_worker(rules.end_of_worker(told, ending, utc_now()))
        if not ack.accepted:
            return None
        log.error("an agent worker had outlived its workflow", worker_id=told.worker_id, how=ending.how)
        return told.worker_id


@dataclass(frozen=True)
class BackupActivities:
    backups: Backups

    @activity.defn(name=ActivityName.BACKUP_MAKE)
    async def make(self, order: BackupRequest) -> BackupMade:
        """Make a backup while everything works; a second run finds the one that the first has made."""
        return await beating(self.backups.make(order.backup_id))

    @activity.defn(name=ActivityName.BACKUP_VERIFY)
    async def verify(self, order: VerifyRequest) -> BackupVerified:
        """Restore a backup beside everything else and compare; a second run does the same."""
        return await beating(self.backups.verify(order.id))
