"""The one write of a workflow's visible state, and that of an agent worker's."""

from dataclasses import dataclass

from temporalio import activity

from activities.ports import Platform
from contracts.names import ActivityName
from contracts.progress import Projection, ProjectionAck
from contracts.worker_steps import AgentWorkerAck, AgentWorkerProjection


@dataclass(frozen=True)
class ProjectionActivities:
    platform: Platform

    @activity.defn(name=ActivityName.PROJECTION_APPLY)
    async def apply(self, projection: Projection) -> ProjectionAck:
        """Write the projection; a second run is refused by its sequence number and changes nothing."""
        return await self.platform.apply_projection(projection)


@dataclass(frozen=True)
class WorkerRecordActivities:
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_WORKER_RECORD)
    async def record(self, projection: AgentWorkerProjection) -> AgentWorkerAck:
        """Write the record; a second run is refused by its sequence number and changes nothing."""
        return await self.platform.record_worker(projection)
