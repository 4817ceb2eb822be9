"""What a turn has spent, as its requests say."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.model_tables import ModelRequestRow, ModelTurnRow
from api.models import budgets
from contracts.base import utc_now
from contracts.models import ModelLimit, ModelSpending, ModelUse, broken_off
from contracts.project_settings import ProjectSettings

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_MOST_MODELS = 20


async def spending(session: AsyncSession, turn: ModelTurnRow, defaults: ProjectSettings) -> ModelSpending:
    """The sums of the turn's requests, and what has stopped it; a budget spent to 80 % is a warning."""
    rows = (await session.execute(_by_model(turn))).all()
    totals: dict[str, Any] = {name: sum(int(getattr(row, name)) for row in rows) for name in (*_COUNTS, *TOKENS)}
    return ModelSpending(
        **totals,
        cost_usd=float(sum(row.cost_usd for row in rows)),
        last_status=await _last_status(session, turn),
        limit=await _limit(session, turn, defaults),
        by_model=[_use(row) for row in rows[:_MOST_MODELS]],
    )


_COUNTS = ("requests", "open_requests", "unknown_requests")


def _by_model(turn: ModelTurnRow) -> Any:  # noqa: ANN401 - a statement with nine columns
    is_open = col(ModelRequestRow.state) == budgets.OPEN
    unknown = ~is_open & (~col(ModelRequestRow.known) | ~col(ModelRequestRow.price_known))
    return (
        select(
            col(ModelRequestRow.model),
            func.count().label("requests"),
            func.count().filter(is_open).label("open_requests"),
            func.count().filter(unknown).label("unknown_requests"),
            *(func.sum(col(getattr(ModelRequestRow, name))).label(name) for name in TOKENS),
            func.sum(col(ModelRequestRow.cost_usd)).label("cost_usd"),
            func.bool_and(col(ModelRequestRow.price_known)).label("price_known"),
        )
        .where(col(ModelRequestRow.worker_id) == turn.worker_id, col(ModelRequestRow.turn) == turn.turn)
        .group_by(col(ModelRequestRow.model))
        .order_by(func.sum(col(ModelRequestRow.cost_usd)).desc(), col(ModelRequestRow.model))
    )


def _use(row: Any) -> ModelUse:  # noqa: ANN401 - a row of `_by_model`
    return ModelUse(
        model=row.model,
        requests=row.requests,
        cost_usd=float(row.cost_usd),
        price_known=row.price_known,
        **{name: int(getattr(row, name)) for name in TOKENS},
    )


async def _last_status(session: AsyncSession, turn: ModelTurnRow) -> int | None:
    statement = (
        select(col(ModelRequestRow.status))
        .where(
            col(ModelRequestRow.worker_id) == turn.worker_id,
            col(ModelRequestRow.turn) == turn.turn,
            col(ModelRequestRow.status).is_not(None),
        )
        .order_by(func.coalesce(col(ModelRequestRow.answered_at), col(ModelRequestRow.started_at)).desc())
        .limit(1)
    )
    return (await session.scalars(statement)).one_or_none()


async def _broken_off(session: AsyncSession, turn: ModelTurnRow) -> str | None:
    """The account of the request that was sent last, if it was lost before anybody heard of its answer."""
    statement = (
        select(col(ModelRequestRow.state), col(ModelRequestRow.status), col(ModelRequestRow.account))
        .where(col(ModelRequestRow.worker_id) == turn.worker_id, col(ModelRequestRow.turn) == turn.turn)
        .order_by(col(ModelRequestRow.started_at).desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return row.account if row is not None and (row.state, row.status) == ("lost", None) else None


async def _limit(session: AsyncSession, turn: ModelTurnRow, defaults: ProjectSettings) -> ModelLimit | None:
    if turn.stopped_by is not None:
        return ModelLimit.model_validate(turn.stopped_by)
    if (account := await _broken_off(session, turn)) is not None:
        # No mark of the turn, which would refuse what its agent asks next: some try again by themselves.
        return broken_off(account)
    nearly = budgets.warning(await budgets.budgets(session, budgets.Payer.of(turn), defaults, utc_now()))
    return nearly.as_limit(warning=not nearly.is_spent) if nearly else None
