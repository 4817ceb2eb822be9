"""What tasks have cost, beside what they were expected to cost."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.model_tables import CostEstimateRow, ModelRequestRow
from api.tables import TaskRow
from contracts.costs import TaskCost

_AMOUNTS = ("expected_usd", "low_usd", "high_usd")


async def of_trees(session: AsyncSession, rows: Sequence[TaskRow]) -> dict[str, TaskCost]:
    """By task: its own costs and those of the work below it. A task without a model is not there.

    `rows` are a task and all work below it. Expectations of the parts of a whole are added, each earlier task once.
    """
    own = await _own(session, [row.id for row in rows])
    parents = {row.id: row.parent_task_id for row in rows}
    gathered: dict[str, list[TaskCost]] = {}
    for task_id, cost in own.items():
        above: str | None = task_id
        while above is not None and above in parents:
            gathered.setdefault(above, []).append(cost)
            above = parents[above]
    return {task_id: _sum(costs) for task_id, costs in gathered.items()}


async def _own(session: AsyncSession, task_ids: list[str]) -> dict[str, TaskCost]:
    of_task = col(ModelRequestRow.task_id)
    cost = col(ModelRequestRow.cost_usd)
    unknown = ~col(ModelRequestRow.known) | ~col(ModelRequestRow.price_known)
    spent = select(of_task, func.sum(cost), func.coalesce(func.sum(cost).filter(unknown), 0))
    costs = {
        row[0]: TaskCost(cost_usd=float(row[1]), unknown_usd=float(row[2]))
        for row in await session.execute(spent.where(of_task.in_(task_ids)).group_by(of_task))
    }
    expected = select(CostEstimateRow).where(
        col(CostEstimateRow.task_id).in_(task_ids), col(CostEstimateRow.expected_usd).is_not(None)
    )
    for row in await session.scalars(expected):
        amounts = {name: None if (usd := getattr(row, name)) is None else float(usd) for name in _AMOUNTS}
        known = costs.get(row.task_id, TaskCost())
        costs[row.task_id] = known.model_copy(update={**amounts, "earlier_tasks": row.earlier_tasks})
    return costs


def _sum(costs: Sequence[TaskCost]) -> TaskCost:
    return TaskCost(
        cost_usd=sum(one.cost_usd for one in costs),
        unknown_usd=sum(one.unknown_usd for one in costs),
        expected_usd=_added(one.expected_usd for one in costs),
        low_usd=_added(one.low_usd for one in costs),
        high_usd=_added(one.high_usd for one in costs),
        earlier_tasks=max(one.earlier_tasks for one in costs),
    )


def _added(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
