"""The one write of an agent worker's visible state."""

from dataclasses import dataclass

from temporalio import activity

from activities.ports import Platform
from contracts.names import ActivityName
from contracts.worker_steps import AgentWorkerAck, AgentWorkerProjection


@dataclass(frozen=True)
class WorkerRecordActivities:
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_WORKER_RECORD)
    async def record(self, projection: AgentWorkerProjection) -> AgentWorkerAck:
        """Write the record; a second run is refused by its sequence number and changes nothing."""
        return await self.platform.record_worker(projection)
