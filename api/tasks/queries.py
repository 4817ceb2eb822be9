"""Tasks in the database."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.tables import ProjectRow, TaskRow
from api.visibility import visible_project_ids, visible_projects
from contracts.states import TaskKind, TaskState


async def find(session: AsyncSession, caller: Caller, task_id: str) -> TaskRow | None:
    """The task's row, when it has one and the caller may see its project."""
    statement = select(TaskRow).where(
        col(TaskRow.id) == task_id, col(TaskRow.project_id).in_(visible_project_ids(caller))
    )
    return (await session.scalars(statement)).one_or_none()


async def list_visible(
    session: AsyncSession,
    caller: Caller,
    *,
    project_id: str | None,
    state: TaskState | None,
    kind: TaskKind | None,
    limit: int,
) -> list[TaskRow]:
    """Newest first. None means any project, state or kind."""
    statement = select(TaskRow).where(col(TaskRow.project_id).in_(visible_project_ids(caller)))
    for column, wanted in ((TaskRow.project_id, project_id), (TaskRow.state, state), (TaskRow.kind, kind)):
        if wanted is not None:
            statement = statement.where(col(column) == wanted)
    rows = await session.scalars(statement.order_by(col(TaskRow.created_at).desc(), col(TaskRow.id)).limit(limit))
    return list(rows)


async def recently_used_projects(session: AsyncSession, caller: Caller, limit: int) -> list[ProjectRow]:
    """The caller's projects, those first that were changed last."""
    statement = select(ProjectRow).where(visible_projects(caller))
    return list(await session.scalars(statement.order_by(col(ProjectRow.updated_at).desc()).limit(limit)))
