"""Raised budgets."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import hash_secret
from api.model_tables import ModelBudgetRaiseRow, ModelTurnRow
from api.models import budgets, turns
from api.problems import not_found, permanent
from api.worker_tables import AgentWorkerRow
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.models import ModelBudget, ModelBudgetScope, RaiseModelBudget
from contracts.project_settings import ProjectSettings
from contracts.worker_nouns import WorkerBudgetRaise


async def raise_budget(session: AsyncSession, body: RaiseModelBudget, defaults: ProjectSettings) -> ModelBudget:
    """Raise once for each request id; the budget as it is then.

    Raises CONFLICT for the same id with other content, NOT_FOUND for a scope that is not known.
    """
    values = {
        "scope": body.scope,
        "scope_id": body.scope_id,
        "add_usd": Decimal(str(body.add_usd)),
        "raised_by": body.by,
    }
    statement = insert(ModelBudgetRaiseRow).values(request_id=body.request_id, raised_at=utc_now(), **values)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["request_id"]))
    row = await session.get_one(ModelBudgetRaiseRow, body.request_id, populate_existing=True)
    if any(getattr(row, name) != value for name, value in values.items()):
        raise permanent(ErrorCode.CONFLICT, f"The request {body.request_id!r} has raised another budget already.")
    return await budget_of(session, body.scope, body.scope_id, defaults)


async def raise_for_worker(
    session: AsyncSession, worker: AgentWorkerRow, body: WorkerBudgetRaise, by: int, defaults: ProjectSettings
) -> ModelBudget:
    """Raise what an agent worker without a task may spend: it counts as its own task, and as its own project if it has
    none. Raises CONFLICT for one that has used no model yet: it has nothing to be raised.
    """
    statement = select(col(ModelTurnRow.turn)).where(col(ModelTurnRow.task_id) == worker.id).limit(1)
    if (await session.scalars(statement)).first() is None:
        raise permanent(ErrorCode.CONFLICT, "This agent worker has used no model of the platform yet.")
    scopes: list[ModelBudgetScope] = ["task"] if worker.project_id else ["project", "task"]
    for scope in scopes:
        raised = RaiseModelBudget(
            # Prefixed: what somebody else has called another raise is no business of this one.
            request_id=f"{worker.id}/{scope}/{hash_secret(body.request_id)[:32]}",
            scope=scope,
            scope_id=worker.id,
            add_usd=body.add_usd,
            by=by,
        )
        budget = await raise_budget(session, raised, defaults)
    return budget


async def budget_of(
    session: AsyncSession, scope: ModelBudgetScope, scope_id: str, defaults: ProjectSettings
) -> ModelBudget:
    """A budget and what of it is spent. Raises NOT_FOUND."""
    payer, moment = await _payer(session, scope, scope_id)
    for found in await budgets.budgets(session, payer, defaults, moment, only_limited=False):
        if (found.scope, found.scope_id) == (scope, scope_id):
            limit = None if found.limit_usd is None else float(found.limit_usd)
            return ModelBudget(
                scope=scope, scope_id=scope_id, spent_usd=float(found.spent_usd + found.open_usd), limit_usd=limit
            )
    raise not_found("budget", scope_id)


async def _payer(session: AsyncSession, scope: ModelBudgetScope, scope_id: str) -> tuple[budgets.Payer, datetime]:
    """Somebody who spends of this budget, and a moment of its time."""
    head, _, tail = scope_id.rpartition(":")
    now = utc_now()
    if scope == "turn":
        found = await turns.find(session, head, int(tail) if tail.isdecimal() else 0)
        return budgets.Payer.of(found), now
    if scope == "task":
        statement = select(ModelTurnRow).where(col(ModelTurnRow.task_id) == scope_id).limit(1)
        of_task = (await session.scalars(statement)).one_or_none()
        if of_task is None:
            raise not_found("task with a model", scope_id)
        return budgets.Payer.of(of_task), now
    if scope == "project":
        return budgets.Payer(scope_id), now
    try:
        return budgets.Payer(head), budgets.month_bounds(tail)[0]
    except ValueError:
        raise not_found("month", scope_id) from None
