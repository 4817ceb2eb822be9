"""Sums of what agents cost, from the rows of their requests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, String, case, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.model_tables import CostEstimateRow, ModelRequestRow, ModelTurnRow
from api.models import budgets
from api.models.spending import TOKENS
from api.tables import ProjectRow, TaskRow, UserRow
from api.visibility import allowed
from api.worker_tables import AgentWorkerRow
from contracts.costs import CostGrouping
from contracts.models import ModelBudget
from contracts.project_settings import ProjectSettings
from contracts.states import SubjectKind

MOST_LINES = 200
NO_PROJECT = "no-project:"
"""Begins the key of what a person's agents without a project have cost; their id follows. No project has such an id."""


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


_IS_LOOSE = col(ModelRequestRow.project_id) == col(ModelRequestRow.worker_id)
"""Of an agent worker that has no project: it stands in its place, so that budgets have somebody to count for."""

_KEYS: dict[CostGrouping, SQLColumnExpression[str]] = {
    "project": case(
        (_IS_LOOSE, literal(NO_PROJECT) + func.coalesce(cast(col(ModelTurnRow.user_id), String), "")),
        else_=col(ModelRequestRow.project_id),
    ),
    "task": col(ModelRequestRow.task_id),
    "agent": col(ModelTurnRow.agent),
    "model": col(ModelRequestRow.model),
    "role": col(ModelTurnRow.role),
}


def _visible(caller: Caller) -> ColumnElement[bool]:
    """What belongs to the caller's projects, and what their own agents without a project have cost."""
    of_project = allowed(caller, literal(SubjectKind.PROJECT.value), col(ModelRequestRow.project_id))
    if caller.platform or caller.project_id is not None:
        return of_project
    return of_project | (_IS_LOOSE & (col(ModelTurnRow.user_id) == caller.user_id))


def _of_requests(caller: Caller, wanted: Wanted, key: SQLColumnExpression[str]) -> Select[Any]:
    of_turn = (col(ModelTurnRow.worker_id) == col(ModelRequestRow.worker_id)) & (
        col(ModelTurnRow.turn) == col(ModelRequestRow.turn)
    )
    conditions = [
        col(ModelRequestRow.started_at) >= wanted.since,
        col(ModelRequestRow.started_at) < wanted.until,
        _visible(caller),
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
    """What people call projects, tasks and agents without a project."""
    if by == "project":
        found = await _names(session, col(ProjectRow.id), col(ProjectRow.name), keys)
        return found | await _owners_without_project(session, keys)
    if by == "task":
        workers = await _names(session, col(AgentWorkerRow.id), col(AgentWorkerRow.name), keys)
        return workers | await _names(session, col(TaskRow.id), col(TaskRow.title), keys)
    return {}


async def _names(
    session: AsyncSession, key: SQLColumnExpression[str], name: SQLColumnExpression[str], keys: list[str]
) -> dict[str, str]:
    return {row[0]: row[1] for row in await session.execute(select(key, name).where(key.in_(keys)))}


async def _owners_without_project(session: AsyncSession, keys: list[str]) -> dict[str, str]:
    owners = {key: key.removeprefix(NO_PROJECT) for key in keys if key.startswith(NO_PROJECT)}
    ids = [int(owner) for owner in owners.values() if owner]
    statement = select(col(UserRow.user_id), col(UserRow.name)).where(col(UserRow.user_id).in_(ids))
    people = {str(row[0]): row[1] for row in await session.execute(statement)}
    return {
        key: f"without a project, {people.get(owner) or owner}" if owner else "without a project"
        for key, owner in owners.items()
    }


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
