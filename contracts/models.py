"""Turns of an agent at the model proxy: what one may spend, what it has spent, and what has stopped it.

The token of a turn travels only between the API, the activity that runs the turn and its container. Nothing of a
workflow holds it: workflows see `ModelSpending` and `ModelLimit`. Money is in US dollars.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier, UserId
from contracts.states import AgentKind

Usd = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]
"""An amount of US dollars, never negative."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of requests or tokens."""

ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
"""A model, as its vendor's API calls it."""

ModelRole = Literal["developer", "planner", "check-writer", "reviewer", "product-owner"]
"""For what a turn uses a model."""

ModelLimitKind = Literal["budget", "window", "rate", "outage", "auth", "request"]
ModelBudgetScope = Literal["turn", "task", "project", "month"]


class ModelLimit(Contract):
    """What stops a turn at the model, or will soon.

    kind: budget (`scope` says whose, `scope_id` which; `spent_usd` of `limit_usd` are spent), window (the account's
    usage window is used up until `until`), rate (too many requests until `until`), outage (the vendor does not answer
    or is overloaded), auth (the vendor refuses the key of `account`) or request (the vendor refuses what was sent).
    `warning`: a budget is spent to 80 %; the turn has gone on, the next one wants an answer first.
    """

    kind: ModelLimitKind
    message: str = Field(default="", max_length=1_000)
    until: AwareDatetime | None = None
    spent_usd: Usd | None = None
    limit_usd: Usd | None = None
    scope: ModelBudgetScope | None = None
    scope_id: str | None = Field(default=None, max_length=200)
    account: str | None = Field(default=None, max_length=200)
    warning: bool = False


def broken_off(account: str | None = None) -> ModelLimit:
    """What has stopped a turn whose answer never ended, because the model proxy did."""
    said = "The model proxy ended while an answer was coming; what the answer has cost is unknown."
    return ModelLimit(kind="outage", message=said, account=account)


class OpenModelTurn(Contract):
    """Opens a turn at the proxy, or returns it as it was opened: the same (worker_id, turn) is the same turn.

    `model` is one that a person has chosen for the task; without it the agent's row or a setting chooses.
    """

    worker_id: Identifier
    turn: int = Field(ge=1)
    task_id: Identifier
    project_id: Identifier
    user_id: UserId | None = None
    agent: AgentKind
    role: ModelRole = "developer"
    model: ModelName | None = None


class ModelTurn(Contract):
    """A turn's token for the proxy and the models it should use; `refused` when nothing may be spent now.

    The token follows from (worker_id, turn), so that a repeated call returns the same. It must not enter a history.
    `side_model` is for an agent's small requests beside the work, such as titles.
    """

    token: str = Field(max_length=500, repr=False)
    model: ModelName | None = None
    side_model: ModelName | None = None
    refused: ModelLimit | None = None


class ModelUse(Contract):
    """What one model was used for; `cost_usd` is estimated at the configured rate when `price_known` is false."""

    model: str = Field(max_length=200)
    requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cost_usd: Usd = 0
    price_known: bool = True


class ModelSpending(Contract):
    """What a turn has spent so far, as the proxy has seen it.

    `input_tokens` are those that no cache was read or written for. `unknown_requests` are requests whose use or price
    nobody knows; they are in `cost_usd` at the configured rate. `last_status` is the HTTP status of the newest answer.
    """

    requests: Count = 0
    open_requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cost_usd: Usd = 0
    unknown_requests: Count = 0
    last_status: int | None = Field(default=None, ge=100, le=599)
    limit: ModelLimit | None = None
    by_model: list[ModelUse] = Field(default_factory=list, max_length=20)


class RaiseModelBudget(Contract):
    """Raises a budget by `add_usd`; the same `request_id` raises it once. `by` is the person who has decided it.

    `scope_id` is `<worker_id>:<turn>`, a task, a project, or a month: `<project>:YYYY-MM`, `YYYY-MM` for everybody's.
    """

    request_id: str = Field(min_length=1, max_length=200)
    scope: ModelBudgetScope
    scope_id: str = Field(min_length=1, max_length=200)
    add_usd: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
    by: UserId


class ModelBudget(Contract):
    """A budget and what of it is spent. `limit_usd` None: nothing limits it."""

    scope: ModelBudgetScope
    scope_id: str = Field(max_length=200)
    spent_usd: Usd = 0
    limit_usd: Usd | None = None
