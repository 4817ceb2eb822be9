"""What the graph is told when parked work goes on: pure."""

from typing import Any

from contracts.base import MAX_TEXT, Contract
from contracts.errors import bounded
from contracts.models import ModelLimit
from contracts.states import AgentKind


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


def request_of(state: dict[str, Any]) -> dict[str, Any]:
    """What the graph asks the workflow when it parks."""
    return {"kind": "limit", "limit": state["limit"], "turn": state.get("turn", 0)}


def limit_of(interrupt: dict[str, Any]) -> ModelLimit:
    return ModelLimit.model_validate(interrupt["limit"])


def after_parking(state: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The state with which the next turn begins, or the end if a person has stopped the work."""
    resumption = Resumption.model_validate(answer)
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
