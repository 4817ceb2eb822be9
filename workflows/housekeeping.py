"""Housekeeping: deletes what nobody can use any more. Started by its Schedule; the next run repeats it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
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
