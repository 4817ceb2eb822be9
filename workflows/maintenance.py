"""Maintenance: what the platform does for itself every minute, in one workflow that never ends.

The rounds are made inside an activity, an hour of them in each: history grows by a few events an hour, and not by a
dozen a minute. The run continues as new once a day. Signal `plan` changes the intervals.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
    from contracts.maintenance import MaintenancePlan, MaintenanceReport
    from contracts.names import SignalName, WorkflowName
    from workflows import failures, options


@workflow.defn(name=WorkflowName.MAINTENANCE)
class MaintenanceWorkflow:
    @workflow.init
    def __init__(self, plan: MaintenancePlan) -> None:
        self._plan = plan

    @workflow.run
    async def run(self, plan: MaintenancePlan) -> None:
        for number in range(1, plan.stretches + 1):
            await self._one_stretch(number)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._plan)

    # Handlers --------------------------------------------------------------------------------------------

    @workflow.signal(name=SignalName.PLAN)
    def plan(self, plan: MaintenancePlan) -> None:
        self._plan = plan

    # Phases ----------------------------------------------------------------------------------------------

    async def _one_stretch(self, number: int) -> None:
        """A stretch that fails is no reason to stop: the next one begins a minute later."""
        try:
            report = await self._watch()
        except ActivityError as error:
            if failures.is_cancellation(error):
                raise
            workflow.set_current_details(f"Stretch {number} failed: {failures.code_and_message(error)[1]}")
            await workflow.sleep(self._plan.every_s)
        else:
            ended = ", ".join(report.ended[-20:]) or "none"
            workflow.set_current_details(
                f"Stretch {number}: {report.rounds} rounds, {report.failed} failed. Ends recorded for tasks: {ended}"
            )

    # Activities ------------------------------------------------------------------------------------------

    async def _watch(self) -> MaintenanceReport:
        return await workflow.execute_activity_method(
            MaintenanceActivities.watch,
            self._plan,
            **options.named(options.MAINTENANCE, "Compare open tasks with Temporal, every minute"),
        )
