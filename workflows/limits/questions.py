"""The questions at a limit of a model: pure, in English and with what it takes to say them in another language."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from contracts import limit_answers as answers
from contracts.errors import bounded
from contracts.models import ModelLimit
from contracts.questions import OwnQuestion, QuestionWording
from contracts.states import AgentKind
from workflows import rules

_SCOPES = {
    "turn": "this turn",
    "task": "this task",
    "project": "the project",
    "month": "the project this month",
    rules.EVERYBODY: "everybody this month",
}


class LimitQuestion(NamedTuple):
    text: str
    choices: list[str]
    wording: QuestionWording


def budget(limit: ModelLimit, cheaper_model: str | None) -> LimitQuestion:
    """A budget that is spent, or nearly. The budget of a turn is not raised: the next turn has as much again."""
    spent, allowed = _usd(limit.spent_usd), _usd(limit.limit_usd)
    whose = whose_budget(limit)
    said = f"{spent} of {allowed} that {_SCOPES[whose]} may spend on models"
    raises = [answers.raise_choice(raise_step(limit))] if limit.scope != "turn" else []
    cheaper = [answers.CHEAPER] if cheaper_model and (limit.warning or limit.scope == "turn") else []
    goes_on = [answers.GO_ON] if limit.warning or limit.scope == "turn" else []
    text = f"{said} {'are nearly spent' if limit.warning else 'are spent'}. The work waits. How shall it go on?"
    name = OwnQuestion.BUDGET_NEARLY_SPENT if limit.warning else OwnQuestion.BUDGET_SPENT
    wording = _wording(name, spent=spent, limit=allowed, scope=whose)
    return LimitQuestion(text, [*raises, *cheaper, *goes_on, answers.STOP], wording)


def whose_budget(limit: ModelLimit) -> str:
    """The scope in a word for people: the month of a project is its own, that of the installation everybody's."""
    shared = limit.scope == "month" and ":" not in (limit.scope_id or "")
    return rules.EVERYBODY if shared else limit.scope or "task"


def raise_step(limit: ModelLimit) -> float:
    """What is offered: as much again, in whole dollars if it is more than one."""
    allowed = limit.limit_usd or 1.0
    return float(round(allowed)) if allowed >= 1 else round(allowed, 4) or 0.01


def window(limit: ModelLimit, agent: AgentKind, others: Sequence[AgentKind], *, held: bool) -> LimitQuestion:
    """A usage window that is used up: the work waits until it opens, or, `held`, for a person."""
    account, until = limit.account or agent.value, moment(limit.until)
    first = f"The usage limit of {account} is reached; it opens again at {until}."
    if held:
        text = f"{first} The work is on hold and does not go on by itself."
        choices = [answers.NOW, *_names(others), answers.STOP]
        return LimitQuestion(text, choices, _wording(OwnQuestion.USAGE_WINDOW_HELD, account=account, until=until))
    text = f"{first} The work waits and goes on by itself then."
    choices = [answers.NOW, answers.HOLD, *_names(others), answers.STOP]
    return LimitQuestion(text, choices, _wording(OwnQuestion.USAGE_WINDOW, account=account, until=until))


def unavailable(limit: ModelLimit, agent: AgentKind, others: Sequence[AgentKind]) -> LimitQuestion:
    """A vendor that does not answer, or takes no requests, for longer than is waited for."""
    reason, account = _reason(limit), limit.account or agent.value
    text = f"{account} has not answered {agent.value} for some time: {reason}. Try again, or stop?"
    wording = _wording(OwnQuestion.MODEL_UNAVAILABLE, account=account, reason=reason)
    return LimitQuestion(text, [answers.RETRY, *_names(others), answers.STOP], wording)


def key_refused(limit: ModelLimit, agent: AgentKind, others: Sequence[AgentKind]) -> LimitQuestion:
    """A key that the vendor does not take: only an admin can change it."""
    reason, account = _reason(limit), limit.account or agent.value
    text = (
        f"{account} refuses the platform's key: {reason}. An admin sets a valid one with "
        "`orchestrator secret set --platform`; then answer retry."
    )
    wording = _wording(OwnQuestion.MODEL_KEY_REFUSED, account=account, reason=reason)
    return LimitQuestion(text, [answers.RETRY, *_names(others), answers.STOP], wording)


def request_refused(limit: ModelLimit, agent: AgentKind, others: Sequence[AgentKind]) -> LimitQuestion:
    """A request that the vendor refuses, again after the agent has begun anew."""
    reason = _reason(limit)
    text = f"The model refuses what {agent.value} sends: {reason}. Try again, or stop?"
    wording = _wording(OwnQuestion.MODEL_REQUEST_REFUSED, agent=agent.value, reason=reason)
    return LimitQuestion(text, [answers.RETRY, *_names(others), answers.STOP], wording)


def moment(when: datetime | None) -> str:
    """A time for people, who may be anywhere: in UTC, and said so."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when is not None else "an unknown time"


def _reason(limit: ModelLimit) -> str:
    return bounded(" ".join(limit.message.split()).rstrip("."), 500) or "no reason given"


def _usd(amount: float | None) -> str:
    return "an unknown amount" if amount is None else f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def _names(agents: Sequence[AgentKind]) -> list[str]:
    return [agent.value for agent in agents]


def _wording(name: OwnQuestion, **fields: str) -> QuestionWording:
    return QuestionWording(name=name.value, fields=fields)
