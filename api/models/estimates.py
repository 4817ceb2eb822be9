"""What a task will probably cost, by what earlier ones have cost."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import median

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.model_tables import CostEstimateRow, ModelRequestRow, ModelTurnRow
from api.tables import ProjectRow
from contracts.base import utc_now
from contracts.costs import CostEstimate, CostEstimateRequest

_LAST_TASKS = 50
_ENOUGH = 3


async def estimate(session: AsyncSession, body: CostEstimateRequest) -> CostEstimate:
    """The task's first estimate, made now if there is none."""
    row = await session.get(CostEstimateRow, body.task_id)
    if row is None:
        values = await _values(session, body)
        statement = insert(CostEstimateRow).values(task_id=body.task_id, estimated_at=utc_now(), **values)
        await session.execute(statement.on_conflict_do_nothing(index_elements=["task_id"]))
        row = await session.get_one(CostEstimateRow, body.task_id)
    return CostEstimate(
        task_id=row.task_id,
        earlier_tasks=row.earlier_tasks,
        **{name: None if (usd := getattr(row, name)) is None else float(usd) for name in _AMOUNTS},
    )


_AMOUNTS = ("expected_usd", "low_usd", "high_usd")


async def _values(session: AsyncSession, body: CostEstimateRequest) -> dict[str, object]:
    earlier = await _earlier(session, body, col(ModelTurnRow.project_id) == body.project_id)
    if len(earlier) < _ENOUGH:
        earlier = await _earlier(session, body, col(ModelTurnRow.project_id).in_(_of_same_owner(body.project_id)))
    return {
        "project_id": body.project_id,
        "agent": body.agent.value,
        "earlier_tasks": len(earlier),
        **dict(zip(_AMOUNTS, spread(earlier), strict=True)),
    }


def _of_same_owner(project_id: str) -> Select[str]:
    """The projects of the owner of this one: what other people's tasks have cost is not theirs to know."""
    owner = select(col(ProjectRow.owner_id)).where(col(ProjectRow.id) == project_id).scalar_subquery()
    return select(col(ProjectRow.id)).where(col(ProjectRow.owner_id) == owner)


def spread(amounts: Sequence[Decimal]) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """The median, and the amounts that one of ten is below and above; three times None without any."""
    if not amounts:
        return None, None, None
    ordered, last = sorted(amounts), len(amounts) - 1
    return median(ordered), ordered[round(last * 0.1)], ordered[round(last * 0.9)]


async def _earlier(session: AsyncSession, body: CostEstimateRequest, *conditions: ColumnElement[bool]) -> list[Decimal]:
    """What the newest tasks with this agent have cost, without this one and without those that still spend."""
    of_turn = (col(ModelTurnRow.worker_id) == col(ModelRequestRow.worker_id)) & (
        col(ModelTurnRow.turn) == col(ModelRequestRow.turn)
    )
    statement = (
        select(func.sum(col(ModelRequestRow.cost_usd)))
        .join(ModelTurnRow, of_turn)
        .where(col(ModelTurnRow.agent) == body.agent.value, col(ModelRequestRow.task_id) != body.task_id, *conditions)
        .group_by(col(ModelRequestRow.task_id))
        # what only planned, such as the parts of a large wish, is no measure
        .having(
            func.bool_and(col(ModelRequestRow.state) != "open"), func.bool_or(col(ModelTurnRow.role) == "developer")
        )
        .order_by(func.max(col(ModelRequestRow.started_at)).desc())
        .limit(_LAST_TASKS)
    )
    return [Decimal(usd) for usd in await session.scalars(statement)]
