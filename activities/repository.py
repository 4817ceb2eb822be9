"""Repositories and workspaces."""

from dataclasses import dataclass

from temporalio import activity

from activities.following import to_the_end
from activities.ports import Forge, Platform, Workspaces
from contracts import ids
from contracts.departments import ScaffolderMessage
from contracts.names import ActivityName
from contracts.steps import (
    Done,
    PushedBranch,
    ScaffoldResult,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceReady,
    WorkspaceRemoval,
    WorkspaceRequest,
)
from contracts.worker_steps import BranchTakeUp, TakenUp


@dataclass(frozen=True)
class RepositoryActivities:
    forge: Forge
    workspaces: Workspaces
    platform: Platform

    @activity.defn(name=ActivityName.REPOSITORY_SCAFFOLD)
    async def scaffold(self, message: ScaffolderMessage) -> ScaffoldResult:
        """Create the repository and generate the project; a second run adopts both.

        On the branch of the work is then what the project's memory has got since the last one.
        """
        if message.branch:
            memory = await self.platform.memory_to_write(message.project_id, ids.task_of_branch(message.branch))
            message = message.model_copy(update={"memory": memory})
        return await to_the_end(self.forge.scaffold(message))

    @activity.defn(name=ActivityName.WORKSPACE_PREPARE)
    async def prepare(self, request: WorkspaceRequest) -> WorkspaceReady:
        """Clone the repository for one agent worker, or make a folder; a second run keeps what is there."""
        return await to_the_end(self.workspaces.prepare(request))

    @activity.defn(name=ActivityName.WORKSPACE_WRITE_FILE)
    async def write_file(self, request: WorkspaceFile) -> Done:
        """Write one file; a second run writes the same."""
        await to_the_end(self.workspaces.write_file(request))
        return Done()

    @activity.defn(name=ActivityName.WORKSPACE_TAKE_UP)
    async def take_up(self, request: BranchTakeUp) -> TakenUp:
        """Bring what people have pushed into the workspace; a second run finds it there."""
        return await to_the_end(self.workspaces.take_up(request))

    @activity.defn(name=ActivityName.WORKSPACE_PUSH)
    async def push(self, request: WorkspacePush) -> PushedBranch:
        """Push the work branch and compare the remote; a second run finds it there."""
        return await to_the_end(self.workspaces.push(request))

    @activity.defn(name=ActivityName.WORKSPACE_REMOVE)
    async def remove(self, request: WorkspaceRemoval) -> Done:
        """Remove the workspace; a second run finds nothing to remove."""
        await to_the_end(self.workspaces.remove(request.worker_id))
        return Done()
