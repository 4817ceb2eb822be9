"""Talking to running workflows: what workflow code cannot do itself."""

from dataclasses import dataclass

from temporalio import activity

from activities.following import beating, to_the_end
from activities.ports import WorkflowClient
from contracts.agent_workers import DeleteWorkerCommand
from contracts.departments import DeployMessage, DeployResult
from contracts.names import ActivityName
from contracts.steps import Done


@dataclass(frozen=True)
class DepartmentActivities:
    workflow_client: WorkflowClient

    @activity.defn(name=ActivityName.AGENT_WORKER_CLOSE)
    async def close_worker(self, command: DeleteWorkerCommand) -> Done:
        """Let an agent worker end; a second run finds it ended."""
        await self.workflow_client.delete_worker(command.worker_id, command.request_id)
        return Done()

    @activity.defn(name=ActivityName.DEPLOYMENT_JOIN)
    async def join_deploy(self, message: DeployMessage) -> DeployResult:
        """Wait for a deploy that runs under another parent; a second run attaches to the same."""
        return await beating(self.workflow_client.join_deploy(message))

    @activity.defn(name=ActivityName.DEPLOYMENT_WITHDRAW)
    async def withdraw_deploy(self, message: DeployMessage) -> Done:
        """Take a deploy back that was handed over; a second run finds it taken back."""
        await to_the_end(self.workflow_client.withdraw_deploy(message))
        return Done()
