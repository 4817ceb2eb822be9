"""Turns of a CLI agent, and what they may spend."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from temporalio import activity

from activities.ended import refuse_if_ended
from activities.following import beating, followed, or_stop, to_the_end
from activities.model_turns import end_token
from activities.ports import AgentRuntime, Follow, Platform
from contracts.agent_logins import login_of
from contracts.agent_workers import TurnOutcome
from contracts.errors import OrchestratorError
from contracts.models import ModelBudget, ModelSpending, ModelTurn, OpenModelTurn, RaiseModelBudget, broken_off
from contracts.names import ActivityName
from contracts.states import AgentKind
from contracts.steps import TurnRequest, TurnResult
from contracts.worker_steps import ControlTaken, TurnControl, TurnLeft


@dataclass(frozen=True)
class AgentActivities:
    runtime: AgentRuntime
    platform: Platform

    @activity.defn(name=ActivityName.AGENT_RUN_TURN)
    async def run_turn(self, request: TurnRequest) -> TurnResult:
        """Run one turn to its end; a second run adopts the turn that the first one started.

        The token with which the agent reaches its model lives here and in its container only.
        """
        try:
            asked, model, prepared = await beating(self._admitted(request))
            outcome = await self._followed(asked, model, prepared)
        except OrchestratorError as error:
            if not error.retryable:
                # Lost, or out of time: nobody follows it any more, and its token may still be somewhere.
                await beating(self._end_token(request))
            raise
        return TurnResult(outcome=outcome if model is None else await beating(self._metered(request, outcome, model)))

    async def _admitted(self, request: TurnRequest) -> tuple[TurnRequest, ModelTurn | None, object | None]:
        """All that a turn needs before it begins, side by side: an agent waits for the slowest and not for the sum.

        Asked now and not at the start of the task: what an owner takes away holds from the next turn.
        """
        open_task = asyncio.ensure_future(refuse_if_ended(self.platform, request.task_id))
        hosts = asyncio.ensure_future(self._hosts(request))
        model = asyncio.ensure_future(self._model(request))
        prepared = asyncio.ensure_future(self.runtime.prepare_turn(request))
        asked = {open_task, hosts, model, prepared}
        try:
            # All of them, whichever fails first: an ended task is told of its end and not of its missing workspace.
            await asyncio.wait(asked)
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        open_task.result()
        return request.model_copy(update={"egress_hosts": hosts.result()}), model.result(), prepared.result()

    async def _followed(self, request: TurnRequest, model: ModelTurn | None, prepared: object | None) -> TurnOutcome:
        def work(follow: Follow) -> Awaitable[TurnOutcome]:
            return self.runtime.run_turn(request, follow, model, prepared)

        return await or_stop(followed(self.platform, request.task_id, work), lambda: self._stop(request))

    async def _model(self, request: TurnRequest) -> ModelTurn | None:
        return await self.platform.open_model_turn(_opening(request)) if has_model(request) else None

    async def _hosts(self, request: TurnRequest) -> list[str]:
        """With a person's own log-in a turn reaches that vendor, and nothing else."""
        if request.login_volume is not None:
            return list(login_of(request.agent).hosts)
        return await self.platform.egress_hosts(request.project_id)

    @activity.defn(name=ActivityName.AGENT_STOP_TURN)
    async def stop_turn(self, request: TurnRequest) -> TurnLeft:
        """Stop a turn that is no longer followed; a second run finds it stopped, and reads the same of it."""
        await to_the_end(self._stop(request))
        return await beating(self.runtime.left_by(request))

    @activity.defn(name=ActivityName.AGENT_CONTROL_TURN)
    async def control_turn(self, control: TurnControl) -> ControlTaken:
        """Give a message to the turn that runs, or ask it to end; a second run gives it the same one."""
        return ControlTaken(taken=await beating(self.runtime.control_turn(control)))

    @activity.defn(name=ActivityName.MODEL_BUDGET_RAISE)
    async def raise_budget(self, request: RaiseModelBudget) -> ModelBudget:
        """Raise a budget for a person who has answered; a second run finds it raised, by its request id."""
        return await self.platform.raise_model_budget(request)

    async def _stop(self, request: TurnRequest) -> None:
        """End the turn, and after it its token, which the agent may have written down somewhere."""
        await self.runtime.stop_turn(request)
        await self._end_token(request)

    async def _end_token(self, request: TurnRequest) -> None:
        if has_model(request):
            await end_token(self.platform, request.worker_id, request.turn)

    async def _metered(self, request: TurnRequest, outcome: TurnOutcome, model: ModelTurn) -> TurnOutcome:
        """What the turn has really spent, and what has stopped it at the model, whatever the agent says."""
        spending = await self.platform.end_model_turn(request.worker_id, request.turn)
        return judged_by_the_model(outcome, spending, refused=model.refused is not None)


def has_model(request: TurnRequest) -> bool:
    """Whether the platform pays for it: not with a log-in of the agent's own."""
    return request.agent is not AgentKind.SCRIPTED and request.login_volume is None


def judged_by_the_model(outcome: TurnOutcome, spending: ModelSpending, *, refused: bool = False) -> TurnOutcome:
    """The outcome with what the proxy has seen. An agent whose last request was refused has not done its work.

    Some say that they have. What it has claimed by itself stays where it has asked a question.
    """
    limit = spending.limit or outcome.limit
    if limit is None and outcome.status == "failed" and spending.open_requests:
        limit = broken_off()
    stopped = limit is not None and not limit.warning
    unanswered = spending.last_status is not None and spending.last_status >= 400
    fields: dict[str, object] = {"spending": spending, "limit": limit}
    if spending.requests or not refused:
        fields |= {
            "cost_usd": spending.cost_usd,
            "input_tokens": spending.input_tokens + spending.cache_read_tokens + spending.cache_write_tokens,
            "output_tokens": spending.output_tokens,
        }
    if outcome.status == "done" and (stopped or unanswered):
        fields |= {"status": "failed", "summary": _refused(spending, outcome)}
    return outcome.model_copy(update=fields)


def _refused(spending: ModelSpending, outcome: TurnOutcome) -> str:
    limit = spending.limit
    why = limit.message if limit is not None and limit.message else f"The model answered {spending.last_status}."
    return f"{why}\n\n{outcome.summary}".strip()


def _opening(request: TurnRequest) -> OpenModelTurn:
    return OpenModelTurn(
        worker_id=request.worker_id,
        turn=request.turn,
        task_id=request.task_id,
        project_id=request.project_id,
        user_id=request.user_id,
        agent=request.agent,
        model=request.model,
    )
