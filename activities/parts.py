"""Dividing a large wish, before anything of it is built."""

from dataclasses import dataclass

from temporalio import activity

from activities.following import followed, or_stop
from activities.model_turns import AtLimit
from activities.ports import Planner, Platform
from contracts.names import ActivityName
from contracts.planning import PartsPlan, PartsRequest


@dataclass(frozen=True)
class PartsActivities:
    planner: Planner
    platform: Platform

    @activity.defn(name=ActivityName.PARTS_PLAN)
    async def plan(self, request: PartsRequest) -> PartsPlan:
        """Divide the wish, or say which limit of its model has stopped the planner.

        A second run asks the planner again, which adopts its own first answer.
        """
        judge = request.judge
        dividing = followed(self.platform, judge.task_id, lambda follow: self.planner.divide(request, follow))
        try:
            return PartsPlan(parts=await or_stop(dividing, lambda: self.planner.stop(judge)))
        except AtLimit as reached:
            return PartsPlan(limit=reached.limit)
