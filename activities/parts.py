"""Dividing a large wish, before anything of it is built."""

from dataclasses import dataclass

from temporalio import activity

from activities.following import followed, or_stop
from activities.ports import Planner, Platform
from contracts.names import ActivityName
from contracts.planning import PartsPlan, PartsRequest


@dataclass(frozen=True)
class PartsActivities:
    planner: Planner
    platform: Platform

    @activity.defn(name=ActivityName.PARTS_PLAN)
    async def plan(self, request: PartsRequest) -> PartsPlan:
        """Divide the wish. A second run asks the planner again, which adopts its own first answer."""
        judge = request.judge
        dividing = followed(self.platform, judge.task_id, lambda follow: self.planner.divide(request, follow))
        return PartsPlan(parts=await or_stop(dividing, lambda: self.planner.stop(judge)))
