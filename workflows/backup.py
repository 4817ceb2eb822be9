"""Backup: one of the whole installation, and now and then the proof that it can be restored. Started by its Schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import BackupActivities
    from contracts.backups import BackupMade, BackupOrder, BackupOutcome, BackupRequest, BackupVerified, VerifyRequest
    from contracts.names import WorkflowName
    from workflows import options


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
