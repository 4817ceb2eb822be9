"""Turns of a CLI agent, and what they may spend."""

from dataclasses import dataclass

from temporalio import activity

from activities.ended import refuse_if_ended
from activities.following import beating, followed, or_stop, to_the_end
from activities.ports import AgentRuntime, Platform
from contracts.models import ModelBudget, RaiseModelBudget
from contracts.names import ActivityName
from contracts.steps import Done, TurnRequest, TurnResult


@dataclass(frozen=True)
class AgentActivities:
    runtime: AgentRuntime
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_RUN_TURN)
    async def run_turn(self, request: TurnRequest) -> TurnResult:
        """Run one turn to its end; a second run adopts the turn that the first one started."""
        await beating(refuse_if_ended(self.platform, request.task_id))
        # Asked now and not at the start of the task: what an owner takes away holds from the next turn.
        hosts = await beating(self.platform.egress_hosts(request.project_id))
        asked = request.model_copy(update={"egress_hosts": hosts})
        turn = followed(self.platform, request.task_id, lambda follow: self.runtime.run_turn(asked, follow))
        return TurnResult(outcome=await or_stop(turn, lambda: self.runtime.stop_turn(request)))

    @activity.defn(name=ActivityName.AGENT_STOP_TURN)
    async def stop_turn(self, request: TurnRequest) -> Done:
        """Stop a turn that is no longer followed; a second run finds it stopped."""
        await to_the_end(self.runtime.stop_turn(request))
        return Done()

    @activity.defn(name=ActivityName.MODEL_BUDGET_RAISE)
    async def raise_budget(self, request: RaiseModelBudget) -> ModelBudget:
        """Raise a budget for a person who has answered; a second run finds it raised, by its request id."""
        return await self.platform.raise_model_budget(request)
