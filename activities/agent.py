"""Turns of a CLI agent."""

from dataclasses import dataclass

from temporalio import activity

from activities.following import followed, or_stop, to_the_end
from activities.ports import AgentRuntime, Platform
from contracts.names import ActivityName
from contracts.steps import Done, TurnRequest, TurnResult


@dataclass(frozen=True)
class AgentActivities:
    runtime: AgentRuntime
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_RUN_TURN)
    async def run_turn(self, request: TurnRequest) -> TurnResult:
        """Run one turn to its end; a second run adopts the turn that the first one started."""
        turn = followed(self.platform, request.task_id, lambda follow: self.runtime.run_turn(request, follow))
        return TurnResult(outcome=await or_stop(turn, lambda: self.runtime.stop_turn(request)))

    @activity.defn(name=ActivityName.AGENT_STOP_TURN)
    async def stop_turn(self, request: TurnRequest) -> Done:
        """Stop a turn that is no longer followed; a second run finds it stopped."""
        await to_the_end(self.runtime.stop_turn(request))
        return Done()
