"""Sums of what agents cost, from the rows of their requests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.model_tables import CostEstimateRow, ModelRequestRow, ModelTurnRow
from api.models import budgets
from api.models.spending import TOKENS
from api.tables import ProjectRow, TaskRow
from api.visibility import allowed
from contracts.costs import CostGrouping
from contracts.models import ModelBudget
from contracts.project_settings import ProjectSettings
from contracts.states import SubjectKind

MOST_LINES = 200


@dataclass(frozen=True)
class Wanted:
    """Whose costs, from when until when, and by what they are grouped."""

    since: datetime
    until: datetime
    by: CostGrouping
    project_id: str | None


async def total(session: AsyncSession, caller: Caller, wanted: Wanted) -> Any:  # noqa: ANN401 - a row with the columns of `_sums`
    """The sums of everything that the caller may see."""
    return (await session.execute(_of_requests(caller, wanted, literal("total")))).one_or_none()


async def lines(session: AsyncSession, caller: Caller, wanted: Wanted) -> tuple[list[Any], int]:
    """The most expensive lines, and how many more there are."""
    statement = _of_requests(caller, wanted, _KEYS[wanted.by]).subquery()
    ordered = select(statement).order_by(statement.c.cost_usd.desc(), statement.c.key).limit(MOST_LINES)
    count = (await session.scalars(select(func.count()).select_from(statement))).one()
    rows = list((await session.execute(ordered)).all())
    return rows, count - len(rows)


_KEYS: dict[CostGrouping, SQLColumnExpression[str]] = {
    "project": col(ModelRequestRow.project_id),
    "task": col(ModelRequestRow.task_id),
    "agent": col(ModelTurnRow.agent),
    "model": col(ModelRequestRow.model),
    "role": col(ModelTurnRow.role),
}


def _of_requests(caller: Caller, wanted: Wanted, key: SQLColumnExpression[str]) -> Select[Any]:
    of_turn = (col(ModelTurnRow.worker_id) == col(ModelRequestRow.worker_id)) & (
        col(ModelTurnRow.turn) == col(ModelRequestRow.turn)
    )
    conditions = [
        col(ModelRequestRow.started_at) >= wanted.since,
        col(ModelRequestRow.started_at) < wanted.until,
        allowed(caller, literal(SubjectKind.PROJECT.value), col(ModelRequestRow.project_id)),
    ]
    if wanted.project_id is not None:
        conditions.append(col(ModelRequestRow.project_id) == wanted.project_id)
    grouped: ColumnElement[str] = key.label("key")
    return select(grouped, *_sums()).join(ModelTurnRow, of_turn).where(*conditions).group_by(grouped)


def _sums() -> list[ColumnElement[Any]]:
    cost = col(ModelRequestRow.cost_usd)
    unknown = ~col(ModelRequestRow.known) | ~col(ModelRequestRow.price_known)
    return [
        func.count().label("requests"),
        *(func.coalesce(func.sum(col(getattr(ModelRequestRow, name))), 0).label(name) for name in TOKENS),
        func.coalesce(func.sum(cost), 0).label("cost_usd"),
        func.count().filter(unknown).label("unknown_requests"),
        func.coalesce(func.sum(cost).filter(unknown), 0).label("unknown_usd"),
    ]


async def names(session: AsyncSession, by: CostGrouping, keys: list[str]) -> dict[str, str]:
    """What people call projects and tasks."""
    if by == "project":
        statement = select(col(ProjectRow.id), col(ProjectRow.name)).where(col(ProjectRow.id).in_(keys))
    elif by == "task":
        statement = select(col(TaskRow.id), col(TaskRow.title)).where(col(TaskRow.id).in_(keys))
    else:
        return {}
    return {row[0]: row[1] for row in await session.execute(statement)}


async def estimates(session: AsyncSession, task_ids: list[str]) -> dict[str, float]:
    """What tasks were expected to cost."""
    statement = select(CostEstimateRow).where(
        col(CostEstimateRow.task_id).in_(task_ids), col(CostEstimateRow.expected_usd).is_not(None)
    )
    return {row.task_id: float(row.expected_usd or 0) for row in await session.scalars(statement)}


async def month_budgets(
    session: AsyncSession, caller: Caller, month: str, project_id: str | None, defaults: ProjectSettings
) -> list[ModelBudget]:
    """The budgets of a month that the caller may know: the project's, and of an administrator the installation's."""
    begin, _ = budgets.month_bounds(month)
    return [
        ModelBudget(
            scope="month",
            scope_id=found.scope_id,
            spent_usd=float(found.spent_usd + found.open_usd),
            limit_usd=float(found.limit_usd or 0),
        )
        for found in await budgets.budgets(session, budgets.Payer(project_id or ""), defaults, begin)
        if found.scope == "month" and (found.scope_id != month or caller.sees_all)
    ]
