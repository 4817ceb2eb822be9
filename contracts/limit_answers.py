"""What a person can answer when work waits at a limit of a model: offered words, and a few that name a value."""

import re
from typing import Final

from contracts.states import AgentKind

NOW: Final = "now"
"""Do not wait any longer."""
HOLD: Final = "hold"
"""Do not go on by yourself when the time has come."""
GO_ON: Final = "continue"
"""Spend on, as far as the budget goes."""
CHEAPER: Final = "cheaper"
"""Use the cheaper model of the project's setting for the rest of the task."""
RETRY: Final = "retry"
STOP: Final = "stop"

MAX_RAISE_USD: Final = 10_000

_RAISE = re.compile(r"\+\s*\$?\s*([0-9]{1,5}(?:\.[0-9]{1,4})?)\s*(?:\$|usd)?", re.IGNORECASE)
_MODEL = re.compile(r"model\s+([\x21-\x7e]{1,200})", re.IGNORECASE)
_AGENT = re.compile(r"(?:agent\s+)?([a-z-]{1,40})", re.IGNORECASE)


def raise_choice(usd: float) -> str:
    """Such as `+5 USD`: raises the budget by so much. Without a sign that a shell would read."""
    return f"+{usd:g} USD"


def raise_of(answer: str) -> float | None:
    """By how many US dollars an answer such as `+5 USD`, `+$5` or `+2.50` raises a budget; None for any other."""
    found = _RAISE.fullmatch(answer.strip())
    usd = float(found.group(1)) if found else 0.0
    return usd if 0 < usd <= MAX_RAISE_USD else None


def model_of(answer: str) -> str | None:
    """The model that `model NAME` names."""
    found = _MODEL.fullmatch(answer.strip())
    return found.group(1) if found else None


def agent_of(answer: str) -> AgentKind | None:
    """The agent that an answer names: `codex`, or `agent NAME`."""
    found = _AGENT.fullmatch(answer.strip())
    name = found.group(1).lower() if found else ""
    return AgentKind(name) if name in set(AgentKind) else None
