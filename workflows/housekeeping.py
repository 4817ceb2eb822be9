"""What Schedules start; the next run repeats it. Housekeeping deletes what nobody can use any more. Backup makes one of
the whole installation, now and then with the proof that it can be restored.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import BackupActivities, MaintenanceActivities
    from contracts.backups import BackupMade, BackupOrder, BackupOutcome, BackupRequest, BackupVerified, VerifyRequest
    from contracts.maintenance import HousekeepingPlan, Tidied
    from contracts.names import WorkflowName
    from workflows import options


@workflow.defn(name=WorkflowName.HOUSEKEEPING)
class HousekeepingWorkflow:
    @workflow.run
    async def run(self, order: HousekeepingPlan) -> Tidied:
        return await workflow.execute_activity_method(
            MaintenanceActivities.tidy,
            order,
            **options.named(options.SHORT, "Delete expired tokens and old marks of chats"),
        )


@workflow.defn(name=WorkflowName.BACKUP)
class BackupWorkflow:
    @workflow.run
    async def run(self, order: BackupOrder) -> BackupOutcome:
        made = await self._make()
        return BackupOutcome(made=made, verified=await self._verify(made) if made.verify_due else None)

    # Activities ------------------------------------------------------------------------------------------

    async def _make(self) -> BackupMade:
        return await workflow.execute_activity_method(
            BackupActivities.make,
            BackupRequest(backup_id=f"scheduled-{workflow.info().run_id}"),
            **options.named(options.BACKUP, "Back up the installation while it works"),
        )

    async def _verify(self, made: BackupMade) -> BackupVerified:
        return await workflow.execute_activity_method(
            BackupActivities.verify,
            VerifyRequest(id=made.id),
            **options.named(options.BACKUP, "Restore the backup beside everything else, and compare"),
        )
