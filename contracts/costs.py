"""What agents cost: sums of what they used models for, and what a task will probably cost. Money is in US dollars."""

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier
from contracts.models import Count, ModelBudget, Usd
from contracts.states import AgentKind

CostGrouping = Literal["project", "task", "agent", "model", "role"]


class CostEstimateRequest(Contract):
    """Asks what a task will probably cost; the same task keeps its first estimate."""

    task_id: Identifier
    project_id: Identifier
    agent: AgentKind


class CostEstimate(Contract):
    """By what earlier tasks with this agent have cost: their median, and between which amounts eight of ten were.

    None without earlier tasks. Tasks of the same project count if there are at least three, else those of its owner.
    """

    task_id: str = Field(max_length=200)
    expected_usd: Usd | None = None
    low_usd: Usd | None = None
    high_usd: Usd | None = None
    earlier_tasks: Count = 0


class TaskCost(Contract):
    """What a task has cost so far, the work below it included, beside what it was expected to cost.

    `expected_usd` is None without earlier tasks. `unknown_usd`, which is in `cost_usd`, is what requests count for
    whose use or price nobody knows.
    """

    cost_usd: Usd = 0
    unknown_usd: Usd = 0
    expected_usd: Usd | None = None
    low_usd: Usd | None = None
    high_usd: Usd | None = None
    earlier_tasks: Count = 0


class CostLine(Contract):
    """Sums of the requests of one project, task, agent, model or role. `name` is for people.

    What a person's agents without a project have cost has the key `no-project:<user id>` instead of a project.

    `input_tokens` are those that no cache was read or written for. `unknown_requests` are those whose use or price
    nobody knows: `unknown_usd`, which is in `cost_usd`, is what they count for. `estimated_usd` is what a task was
    expected to cost.
    """

    key: str = Field(max_length=200)
    name: str = Field(default="", max_length=300)
    requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cost_usd: Usd = 0
    unknown_requests: Count = 0
    unknown_usd: Usd = 0
    estimated_usd: Usd | None = None


class CostReport(Contract):
    """What agents have cost in a calendar month (UTC), for the projects that the caller may see.

    `items` are the largest lines, at most 200; `total` is of everything. `budgets` are those of the month: the
    installation's for administrators, and the project's when one is asked for.
    """

    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    since: AwareDatetime
    until: AwareDatetime
    by: CostGrouping
    total: CostLine
    items: list[CostLine] = Field(default_factory=list, max_length=200)
    more: Count = 0
    budgets: list[ModelBudget] = Field(default_factory=list, max_length=10)
