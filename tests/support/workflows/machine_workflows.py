"""A workflow that only has a machine installed; it is not part of the product."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.servers.providers import ActionPatience, ProviderOrder, ProviderProgress
    from workflows.servers.actions import installed

PATIENCE = ActionPatience(every_s=15, limit_s=900)
SHORT_PATIENCE = ActionPatience(every_s=5, limit_s=300)


@workflow.defn(name="test.installed")
class InstalledWorkflow:
    @workflow.run
    async def run(self, order: ProviderOrder) -> ProviderProgress:
        return await installed(order, PATIENCE, SHORT_PATIENCE)
