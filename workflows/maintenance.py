"""Maintenance: what the platform does for itself every minute, in one workflow that never ends.

It compares open tasks with Temporal, and looks at deployed services. The rounds are made inside activities, an hour of
them in each: history grows by a few events an hour, and not by a dozen a minute. The run continues as new once a day.
Signal `plan` changes the intervals.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.health import HealthActivities
    from activities.maintenance import MaintenanceActivities
    from contracts.maintenance import MaintenancePlan, MaintenanceReport
    from contracts.names import SignalName, WorkflowName
    from contracts.steps import LookAfter, LookedAfter
    from contracts.wording import counted
    from workflows import failures, options


@workflow.defn(name=WorkflowName.MAINTENANCE)
class MaintenanceWorkflow:
    @workflow.init
    def __init__(self, plan: MaintenancePlan) -> None:
        self._plan = plan

    @workflow.run
    async def run(self, plan: MaintenancePlan) -> None:
        looking = asyncio.create_task(self._look_after_services())
        for number in range(1, plan.stretches + 1):
            await self._one_stretch(number)
        await _ended(looking)
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
                f"Stretch {number}: {counted(report.rounds, 'round')}, {report.failed} failed. "
                f"Ends recorded for tasks: {ended}"
            )

    async def _look_after_services(self) -> None:
        """Beside the other rounds, which must not wait for a server or for a missing worker of the queue `infra`."""
        while True:
            try:
                await self._look()
            except ActivityError as error:
                if failures.is_cancellation(error):
                    raise
                await workflow.sleep(self._plan.every_s)

    # Activities ------------------------------------------------------------------------------------------

    async def _watch(self) -> MaintenanceReport:
        return await workflow.execute_activity_method(
            MaintenanceActivities.watch,
            self._plan,
            **options.named(options.MAINTENANCE, "Compare open tasks with Temporal, every minute"),
        )

    async def _look(self) -> LookedAfter:
        plan = self._plan
        return await workflow.execute_activity_method(
            HealthActivities.look,
            LookAfter(every_s=plan.every_s, stretch_s=plan.stretch_s),
            **options.named(options.LOOK_AFTER, "Look at what is deployed, every minute"),
        )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await workflow.wait([task])
