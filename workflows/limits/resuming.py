"""What the graph is told when parked work goes on: pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.acceptance import AcceptanceRequest
from contracts.base import MAX_TEXT, Contract
from contracts.departments import EngineeringMessage
from contracts.errors import bounded
from contracts.models import ModelLimit
from contracts.planning import AcceptanceStop, Judge
from contracts.states import AgentKind

DEVELOP = "develop"
"""The step of the Developer. The others are of those who judge."""


class Resumption(Contract):
    """How work goes on after a limit. `before` is the agent that was stopped; `fresh`: with a new session."""

    stopped: bool = False
    agent: AgentKind
    model: str | None = None
    fresh: bool = False
    before: AgentKind
    why: str = ""


def parks_now(state: dict[str, Any]) -> bool:
    """Whether a limit has stopped the turn. A turn that was only warned, or had finished, is looked at first."""
    return bool(state.get("limit")) and state.get("turn_status") == "failed"


def parks_before_turn(state: dict[str, Any]) -> bool:
    """Whether a limit is known that the next turn would meet."""
    return bool(state.get("limit"))


class Stop(NamedTuple):
    """Where a limit has stopped the work: the step, the number of the last turn, and who worked with which model.

    `agent` None: the one with which the task began.
    """

    step: str
    turn: int
    agent: AgentKind | None
    model: str | None


def acceptance_stop(message: EngineeringMessage, state: Mapping[str, Any], name: str, commit: str) -> AcceptanceStop:
    """Enough of who plans and writes checks now, and of what is checked, to stop it. `name` is the project's."""
    return AcceptanceStop(
        request=AcceptanceRequest(
            task_id=message.task_id,
            project_id=message.project_id,
            project_name=name,
            repository=message.repository or "",
            commit=commit,
            criteria=[],
        ),
        judge=planner_of(message, state),
    )


def planner_of(message: EngineeringMessage, state: Mapping[str, Any]) -> Judge:
    """Enough of who plans and writes checks now to stop it."""
    return Judge(
        task_id=message.task_id,
        project_id=message.project_id,
        agent=AgentKind(state.get("judge") or message.agent),
        attempt=int(state.get("judging") or 0),
    )


def parks_judging(state: Mapping[str, Any], step: str) -> bool:
    """Whether a limit has stopped who plans, or who writes checks."""
    return bool(state.get("limit")) and state.get("parked_at") == step


def step_after(state: Mapping[str, Any]) -> str:
    """The step that is done after parking."""
    return str(state.get("parked_at") or DEVELOP)


def _who(step: str) -> tuple[str, str]:
    """Where the state has who does a step, and with which model."""
    return {DEVELOP: ("agent", "model"), "review": ("reviewer", "review_model")}.get(step, ("judge", "judge_model"))


def request_of(state: dict[str, Any]) -> dict[str, Any]:
    """What the graph asks the workflow when it parks."""
    step = step_after(state)
    agent, model = (state.get(name) for name in _who(step))
    turn = state.get("turn", 0)
    return {"kind": "limit", "limit": state["limit"], "turn": turn, "step": step, "agent": agent, "model": model}


def stop_of(interrupt: dict[str, Any]) -> Stop:
    agent, model = interrupt.get("agent"), interrupt.get("model")
    return Stop(str(interrupt["step"]), int(interrupt["turn"]), AgentKind(agent) if agent else None, model)


def limit_of(interrupt: dict[str, Any]) -> ModelLimit:
    return ModelLimit.model_validate(interrupt["limit"])


def after_parking(state: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The state with which the next turn begins, or the end if a person has stopped the work."""
    resumption = Resumption.model_validate(answer)
    if (step := step_after(state)) != DEVELOP:
        who = dict(zip(_who(step), (resumption.agent.value, resumption.model), strict=True))
        return {"limit": None, "stopped_at_limit": resumption.stopped, **who}
    asked = str(state.get("asked_prompt") or state.get("prompt", ""))
    interrupted = parks_now(state)
    prompt = asked
    if resumption.fresh:
        prompt = handover_prompt(resumption, asked, str(state.get("summary") or ""))
    elif interrupted:
        prompt = interrupted_prompt(resumption.why, asked)
    return {
        "limit": None,
        "stopped_at_limit": resumption.stopped,
        "agent": resumption.agent.value,
        "model": resumption.model,
        "fresh_session": resumption.fresh,
        "asked_prompt": asked,
        "prompt": prompt,
    }


def interrupted_prompt(why: str, asked: str) -> str:
    """The message to an agent that goes on in its own session."""
    return bounded(
        "You were interrupted from outside, not because of your work"
        f"{_because(why)}. Look at what you have done so far (`git status`, `git log`), then finish it. "
        f"What was asked:\n\n{asked}",
        MAX_TEXT,
    )


def handover_prompt(resumption: Resumption, asked: str, summary: str) -> str:
    """The message to an agent that begins a new session where another one, or an earlier session, has stopped."""
    who = "Another session of yours" if resumption.agent is resumption.before else resumption.before.value
    said = f"\n\n## What it said of its work\n{bounded(summary, 2_000)}" if summary.strip() else ""
    return bounded(
        f"{who} worked on this in the same workspace and was interrupted{_because(resumption.why)}. Its commits are on "
        "this branch, and files that it had not committed are still there. You do not have its conversation: look at "
        f"`git status` and `git log` first, then finish the work.{said}\n\n## What was asked\n{asked}",
        MAX_TEXT,
    )


def _because(why: str) -> str:
    line = bounded(" ".join(why.split()).rstrip("."), 300)
    return f" ({line})" if line else ""
