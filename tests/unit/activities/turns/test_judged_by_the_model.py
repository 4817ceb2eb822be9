"""An agent's word against what the proxy has seen."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from activities.agent import judged_by_the_model
from contracts.agent_workers import TurnOutcome
from contracts.models import ModelLimit, ModelSpending

WINDOW = ModelLimit(kind="window", message="The usage window is used up.")
WARNING = ModelLimit(kind="budget", message="80 % are spent.", warning=True)


def outcome(status: Literal["done", "question", "failed"] = "done", **fields: Any) -> TurnOutcome:
    return TurnOutcome(status=status, turn=1, summary="All is built.", cost_usd=0.01, **fields)


def test_what_a_turn_has_spent_is_what_the_proxy_has_seen() -> None:
    spending = ModelSpending(
        requests=5, input_tokens=1, cache_read_tokens=2, cache_write_tokens=3, output_tokens=4, cost_usd=0.5
    )
    judged = judged_by_the_model(outcome(), spending)
    assert (judged.cost_usd, judged.input_tokens, judged.output_tokens) == (0.5, 6, 4)
    assert (judged.status, judged.spending) == ("done", spending)


@pytest.mark.parametrize(
    ("spending", "said"),
    [(ModelSpending(limit=WINDOW, last_status=402), "usage window"), (ModelSpending(last_status=529), "answered 529")],
)
def test_an_agent_whose_last_request_was_refused_is_not_done_whatever_it_says(
    spending: ModelSpending, said: str
) -> None:
    judged = judged_by_the_model(outcome(), spending)
    assert (judged.status, judged.limit) == ("failed", spending.limit)
    assert said in judged.summary
    assert "All is built." in judged.summary


def test_a_question_stays_one_and_carries_its_limit() -> None:
    judged = judged_by_the_model(outcome("question", question="Which?"), ModelSpending(limit=WINDOW))
    assert (judged.status, judged.question, judged.limit) == ("question", "Which?", WINDOW)


def test_a_warning_fails_nothing() -> None:
    judged = judged_by_the_model(outcome(), ModelSpending(limit=WARNING, last_status=200))
    assert (judged.status, judged.limit) == ("done", WARNING)


def test_a_turn_that_was_never_started_keeps_why() -> None:
    judged = judged_by_the_model(outcome("failed", limit=WINDOW), ModelSpending(), refused=True)
    assert (judged.status, judged.limit, judged.cost_usd) == ("failed", WINDOW, 0.01)


def test_a_failed_turn_whose_answer_never_ended_was_stopped_by_an_outage() -> None:
    judged = judged_by_the_model(outcome("failed"), ModelSpending(requests=1, open_requests=1))
    assert judged.limit is not None
    assert (judged.status, judged.limit.kind) == ("failed", "outage")


def test_an_answer_that_never_ended_says_nothing_of_a_turn_that_is_done() -> None:
    judged = judged_by_the_model(outcome(), ModelSpending(requests=2, open_requests=1, last_status=200))
    assert (judged.status, judged.limit) == ("done", None)
