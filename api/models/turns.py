"""Turns at the model proxy in the database: opened by the API, found by the proxy through their token."""

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import hash_secret
from api.model_tables import ModelAccountRow, ModelRequestRow, ModelTurnRow, ModelWindowRow
from api.models import budgets
from api.problems import not_found, permanent
from api.settings.queries import effective
from api.tables import TaskRow
from api.vault import Vault
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.models import ModelLimit, ModelTurn, OpenModelTurn
from contracts.project_settings import ProjectSettings
from contracts.states import AgentKind, TaskState

PREFIX = "omt-"
_LONGEST = timedelta(hours=25)
"""A turn of an agent takes a day at most."""
_ENDED = [state.value for state in TaskState if state.is_final]
_FIXED = ("task_id", "project_id", "user_id", "agent", "role")
ACCOUNTS = {AgentKind.CLAUDE_CODE: "anthropic", AgentKind.FACTORY_DROID: "anthropic", AgentKind.CODEX: "openai"}
"""Of agents that talk to one vendor only."""


async def open_turn(session: AsyncSession, vault: Vault, body: OpenModelTurn, defaults: ProjectSettings) -> ModelTurn:
    """The turn's token and models; a repetition returns the same token, and opens an ended turn again.

    Raises CONFLICT if the same turn was opened for other work.
    """
    row, token = await _opened(session, vault, body)
    settings = await effective(session, body.project_id, defaults)
    now = utc_now()
    spent = budgets.stopping(await budgets.budgets(session, budgets.Payer.of(row), defaults, now))
    model, account = _model(body, settings), ACCOUNTS.get(body.agent)
    limit = spent.as_limit() if spent else await account_limit(session, account, model, now)
    row.opened_at, row.ended_at = now, None
    if not await _has_asked(session, row):
        # What has stopped a turn that has begun is still to be heard by whoever follows it now.
        row.stopped_by = None if limit is None else limit.model_dump(mode="json")
    await session.flush()
    return ModelTurn(token=token, model=model, side_model=settings.side_model, refused=limit)


def _model(body: OpenModelTurn, settings: ProjectSettings) -> str | None:
    """A reviewer may be another agent than the one whose model the setting names, and would not know that one."""
    if body.role == "reviewer" and body.agent is not settings.agent:
        return body.model
    return body.model or settings.model


async def _has_asked(session: AsyncSession, row: ModelTurnRow) -> bool:
    """Whether a request of the turn was sent."""
    of_turn = (col(ModelRequestRow.worker_id) == row.worker_id) & (col(ModelRequestRow.turn) == row.turn)
    return (await session.scalars(select(col(ModelRequestRow.id)).where(of_turn).limit(1))).first() is not None


async def _opened(session: AsyncSession, vault: Vault, body: OpenModelTurn) -> tuple[ModelTurnRow, str]:
    key_id, token = _token(vault, body.worker_id, body.turn)
    values = {
        **{name: getattr(body, name) for name in _FIXED},
        "agent": body.agent.value,
        "key_id": key_id,
        "token_hash": hash_secret(token),
        "opened_at": utc_now(),
    }
    statement = insert(ModelTurnRow).values(worker_id=body.worker_id, turn=body.turn, **values)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["worker_id", "turn"]))
    row = await session.get_one(ModelTurnRow, (body.worker_id, body.turn), populate_existing=True, with_for_update=True)
    if any(getattr(row, name) != values[name] for name in _FIXED):
        raise permanent(
            ErrorCode.CONFLICT, f"Turn {body.turn} of {body.worker_id} was opened for other work; use another turn."
        )
    # With the key of its first opening: a rotation in between must not give a retry another token.
    return row, _token(vault, body.worker_id, body.turn, row.key_id)[1]


def _token(vault: Vault, worker_id: str, turn: int, key_id: str | None = None) -> tuple[str, str]:
    key_id, derived = vault.derive(f"model-turn/{worker_id}/{turn}", key_id)
    return key_id, f"{PREFIX}{derived}"


async def end_turn(session: AsyncSession, worker_id: str, turn: int) -> ModelTurnRow:
    """From now on its token opens nothing; a repetition changes nothing. Raises NOT_FOUND."""
    row = await find(session, worker_id, turn)
    row.ended_at = row.ended_at or utc_now()
    return row


async def find(session: AsyncSession, worker_id: str, turn: int) -> ModelTurnRow:
    """The turn; raises NOT_FOUND for one that was never opened."""
    row = await session.get(ModelTurnRow, (worker_id, turn), populate_existing=True)
    if row is None:
        raise not_found("turn", budgets.turn_scope(worker_id, turn))
    return row


async def by_token(session: AsyncSession, token: str) -> ModelTurnRow | None:
    """The turn that this token belongs to, while it is open: until it or its task ends, or after a day."""
    if not token.startswith(PREFIX):
        return None
    statement = select(ModelTurnRow).where(
        col(ModelTurnRow.token_hash) == hash_secret(token),
        col(ModelTurnRow.ended_at).is_(None),
        col(ModelTurnRow.opened_at) > utc_now() - _LONGEST,
        ~exists().where(col(TaskRow.id) == col(ModelTurnRow.task_id), col(TaskRow.state).in_(_ENDED)),
    )
    return (await session.scalars(statement)).one_or_none()


async def account_limit(
    session: AsyncSession, account: str | None, model: str | None, now: datetime
) -> ModelLimit | None:
    """What limits an account with a vendor now, or this model of it."""
    if account is None:
        return None
    row = await session.get(ModelAccountRow, account, populate_existing=True)
    if row is not None and row.limited_by is not None and row.limited_until is not None and row.limited_until > now:
        return ModelLimit.model_validate(row.limited_by)
    window = await session.get(ModelWindowRow, (account, model), populate_existing=True) if model else None
    return ModelLimit.model_validate(window.limited_by) if window is not None and window.limited_until > now else None
