"""Turns of a CLI agent."""

from dataclasses import dataclass

from temporalio import activity

from activities.ended import refuse_if_ended
from activities.following import beating, followed, or_stop, to_the_end
from activities.ports import AgentRuntime, Platform
from contracts.agent_logins import login_of
from contracts.names import ActivityName
from contracts.steps import TurnRequest, TurnResult
from contracts.worker_steps import ControlTaken, TurnControl, TurnLeft


@dataclass(frozen=True)
class AgentActivities:
    runtime: AgentRuntime
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_RUN_TURN)
    async def run_turn(self, request: TurnRequest) -> TurnResult:
        """Run one turn to its end; a second run adopts the turn that the first one started."""
        await beating(refuse_if_ended(self.platform, request.task_id))
        # Asked now and not at the start of the task: what an owner takes away holds from the next turn.
        hosts = await beating(self._hosts(request))
        asked = request.model_copy(update={"egress_hosts": hosts})
        turn = followed(self.platform, request.task_id, lambda follow: self.runtime.run_turn(asked, follow))
        return TurnResult(outcome=await or_stop(turn, lambda: self.runtime.stop_turn(request)))

    async def _hosts(self, request: TurnRequest) -> list[str]:
        """With a person's own log-in a turn reaches that vendor, and nothing else."""
        if request.login_volume is not None:
            return list(login_of(request.agent).hosts)
        return await self.platform.egress_hosts(request.project_id)

    @activity.defn(name=ActivityName.AGENT_STOP_TURN)
    async def stop_turn(self, request: TurnRequest) -> TurnLeft:
        """Stop a turn that is no longer followed; a second run finds it stopped, and reads the same of it."""
        await to_the_end(self.runtime.stop_turn(request))
        return await beating(self.runtime.left_by(request))

    @activity.defn(name=ActivityName.AGENT_CONTROL_TURN)
    async def control_turn(self, control: TurnControl) -> ControlTaken:
        """Give a message to the turn that runs, or ask it to end; a second run gives it the same one."""
        return ControlTaken(taken=await beating(self.runtime.control_turn(control)))
