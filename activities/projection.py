"""The one write of a workflow's visible state."""

from dataclasses import dataclass

from temporalio import activity

from activities.ports import Platform
from contracts.names import ActivityName
from contracts.progress import Projection, ProjectionAck


@dataclass(frozen=True)
class ProjectionActivities:
    platform: Platform

    @activity.defn(name=ActivityName.PROJECTION_APPLY)
    async def apply(self, projection: Projection) -> ProjectionAck:
        """Write the projection; a second run is refused by its sequence number and changes nothing."""
        return await self.platform.apply_projection(projection)
