"""Agent workers in the database."""

from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, delete, func, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.tables import ProjectRow
from api.visibility import Right, allowed
from api.worker_tables import ENDED_WORKERS, AgentWorkerRow
from contracts.agent_workers import AgentWorkerRun
from contracts.artifacts import ArtifactRef
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.states import AgentKind, AgentWorkerState, SubjectKind
from contracts.worker_steps import AgentWorkerAck, AgentWorkerProjection

MAX_TRANSCRIPTS = 50
"""References that are kept: those of the newest turns."""
_FIXED = {"user_id", "project_id", "task_id"}
_TOLD = {
    "name", "agent", "state", "turns", "seq", "run_id", "current_request", "session_id", "repository", "branch", "note",
    "cost_usd", "unmetered", "expires_at",
}  # fmt: skip


async def find_any(session: AsyncSession, worker_id: str, *, lock: bool = False) -> AgentWorkerRow | None:
    """The agent worker, whoever asks; `lock` holds its row until the commit."""
    return await session.get(AgentWorkerRow, worker_id, with_for_update=lock, populate_existing=lock)


async def find(session: AsyncSession, caller: Caller, worker_id: str, right: Right = Right.SEE) -> AgentWorkerRow:
    """The agent worker; NOT_FOUND when there is none for this caller, NOT_ALLOWED when they may only look at it."""
    row = (await session.scalars(_with(caller, worker_id, Right.SEE))).one_or_none()
    if row is None:
        raise not_found("agent worker", worker_id)
    if right is not Right.SEE and (await session.scalars(_with(caller, worker_id, right))).one_or_none() is None:
        who = "an owner" if right is Right.OWN else "an owner or an editor"
        raise permanent(ErrorCode.NOT_ALLOWED, f"Only {who} of its project may do that.")
    return row


async def list_visible(
    session: AsyncSession, caller: Caller, page: PageRequest, *, project_id: str | None, include_ended: bool
) -> tuple[list[AgentWorkerRow], str | None]:
    """The agent workers that the caller may see, newest first."""
    statement = select(AgentWorkerRow).where(_is_for(caller, Right.SEE))
    if project_id is not None:
        statement = statement.where(col(AgentWorkerRow.project_id) == project_id)
    if not include_ended:
        statement = statement.where(col(AgentWorkerRow.state).not_in(ENDED_WORKERS))
    return await read_page(session, statement, page, (AgentWorkerRow.created_at, AgentWorkerRow.id))


async def count_open(session: AsyncSession, user_id: int, *, but: str) -> int:
    """How many others than `but` this person has made that have not ended. Who counts next waits for the commit."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"agent workers of {user_id}"))))
    mine = (col(AgentWorkerRow.user_id) == user_id) & col(AgentWorkerRow.task_id).is_(None)
    mine &= col(AgentWorkerRow.id) != but
    return (
        await session.scalar(select(func.count()).where(mine, col(AgentWorkerRow.state).not_in(ENDED_WORKERS)))
    ) or 0


async def using_login(session: AsyncSession, user_id: int, agent: AgentKind) -> list[str]:
    """Those that have not ended and use this person's log-in with this agent's vendor."""
    mine = (col(AgentWorkerRow.user_id) == user_id) & col(AgentWorkerRow.uses_login)
    is_open = (col(AgentWorkerRow.agent) == agent.value) & col(AgentWorkerRow.state).not_in(ENDED_WORKERS)
    return list(await session.scalars(select(col(AgentWorkerRow.id)).where(mine, is_open).order_by(AgentWorkerRow.id)))


async def list_open(session: AsyncSession, after: str, limit: int) -> list[AgentWorkerRow]:
    """Everybody's agent workers that have not ended, by id, those behind `after`."""
    is_open = col(AgentWorkerRow.state).not_in(ENDED_WORKERS) & (col(AgentWorkerRow.id) > after)
    statement = select(AgentWorkerRow).where(is_open).order_by(col(AgentWorkerRow.id)).limit(limit)
    return list(await session.scalars(statement))


async def apply(session: AsyncSession, told: AgentWorkerProjection) -> tuple[AgentWorkerAck, AgentWorkerRow]:
    """Write a projection that is newer than the last; an equal or lower `seq` changes nothing.

    Raises CONFLICT for one that names other people or another task than before.
    """
    values = told.model_dump(mode="json", include=_FIXED | {"worker_id", "name", "agent", "state", "uses_login"})
    await _begin(session, values | {"id": values.pop("worker_id")})
    row = await find_any(session, told.worker_id, lock=True)
    if row is None:
        raise not_found("agent worker", told.worker_id)
    if any(getattr(row, name) != getattr(told, name) for name in _FIXED):
        raise permanent(ErrorCode.CONFLICT, f"The agent worker {row.id!r} belongs to somebody else.")
    if told.seq <= row.seq:
        return AgentWorkerAck(accepted=False), row
    _update(row, told)
    return AgentWorkerAck(accepted=True), row


async def reserve(session: AsyncSession, run: AgentWorkerRun) -> AgentWorkerRow:
    """The row of one that is about to be started: from its commit on it counts. A row that is there stays as it is."""
    fixed = {name: run.context.get(name) for name in ("project_id", "task_id")} | {"user_id": run.user_id}
    told = {"name": run.config.name, "agent": run.config.agent.value, "state": AgentWorkerState.CREATING.value}
    uses_login = run.login_volume is not None
    await _begin(session, {**fixed, **told, "id": run.worker_id, "seq": 0, "uses_login": uses_login})
    row = await find_any(session, str(run.worker_id))
    assert row is not None, "it was written in this transaction, or is another one's"
    return row


def is_reserved(row: AgentWorkerRow) -> bool:
    """Whether nobody knows that its workflow has started: the request that makes it may have been cut off before."""
    return row.seq == 0 and not row.run_id


async def started(session: AsyncSession, worker_id: str, run_id: str) -> None:
    """Write down the run, unless the workflow has told of itself already."""
    mine = (col(AgentWorkerRow.id) == worker_id) & (col(AgentWorkerRow.seq) == 0)
    await session.execute(update(AgentWorkerRow).where(mine).values(run_id=run_id, updated_at=utc_now()))


async def release(session: AsyncSession, worker_id: str) -> None:
    """Forget one that was not started. If it was after all, its workflow makes the row again."""
    mine = (col(AgentWorkerRow.id) == worker_id) & (col(AgentWorkerRow.seq) == 0) & (col(AgentWorkerRow.run_id) == "")
    await session.execute(delete(AgentWorkerRow).where(mine))


async def _begin(session: AsyncSession, values: dict[str, Any]) -> None:
    now = utc_now()
    empty = {
        "uses_login": False,
        "seq": -1,
        "turns": 0,
        "run_id": "",
        "last_event_seq": 0,
        "unmetered": False,
        "transcripts": [],
    }
    row = {**empty, **values, "created_at": now, "updated_at": now}
    await session.execute(insert(AgentWorkerRow).values(**row).on_conflict_do_nothing(index_elements=["id"]))


def _update(row: AgentWorkerRow, told: AgentWorkerProjection) -> None:
    for name in _TOLD:
        setattr(row, name, getattr(told, name))
    # A run of an earlier version does not tell.
    row.uses_login = row.uses_login or told.uses_login
    row.commit = told.commit or row.commit
    row.note = told.note or row.note
    if told.transcript is not None:
        row.transcripts = _with_newest(row, told.transcript)
    if told.event is not None:
        row.last_event = told.event.model_dump(mode="json")
    row.updated_at = utc_now()


def _with_newest(row: AgentWorkerRow, newest: ArtifactRef) -> list[dict[str, object]]:
    before = [document for document in row.transcripts if document["sha256"] != newest.sha256]
    return [*before, newest.model_dump(mode="json")][-MAX_TRANSCRIPTS:]


def _with(caller: Caller, worker_id: str, right: Right) -> Select[AgentWorkerRow]:
    return select(AgentWorkerRow).where(col(AgentWorkerRow.id) == worker_id, _is_for(caller, right))


def _is_for(caller: Caller, right: Right) -> ColumnElement[bool]:
    """Whose it is, and whoever has the right in its project. With a log-in it is for its owner alone; an admin sees
    that it is there.
    """
    if caller.sees_all:
        return true()
    own = col(AgentWorkerRow.user_id) == caller.user_id
    mine = own & col(AgentWorkerRow.project_id).is_(None)
    project: SQLColumnExpression[Any] = col(AgentWorkerRow.project_id)
    in_project = allowed(caller, literal(SubjectKind.PROJECT.value), project, right)
    return mine | (col(AgentWorkerRow.project_id).is_not(None) & in_project & (own | ~col(AgentWorkerRow.uses_login)))


async def project_of(session: AsyncSession, worker: AgentWorkerRow) -> ProjectRow | None:
    return await session.get(ProjectRow, worker.project_id) if worker.project_id else None
