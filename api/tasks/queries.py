"""Tasks in the database."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.tables import ProjectRow, QuestionRow, TaskRow
from api.visibility import allowed, visible_projects
from contracts.states import QuestionState, SubjectKind, TaskKind, TaskState

_OPEN = [state.value for state in TaskState if not state.is_final]


async def find(session: AsyncSession, caller: Caller, task_id: str) -> TaskRow | None:
    """The task's row, when it has one and the caller may see its subject."""
    statement = select(TaskRow).where(col(TaskRow.id) == task_id, _is_visible(caller))
    return (await session.scalars(statement)).one_or_none()


async def find_tree(session: AsyncSession, caller: Caller, task_id: str) -> list[TaskRow]:
    """The task and all work below it that the caller may see: itself, then the others as they began.

    Empty when there is no such task for this caller. All rows are of one moment.
    """
    tree = select(col(TaskRow.id)).where(col(TaskRow.id) == task_id).cte("tree", recursive=True)
    tree = tree.union(select(col(TaskRow.id)).join(tree, col(TaskRow.parent_task_id) == tree.c.id))
    statement = select(TaskRow).where(col(TaskRow.id).in_(select(tree.c.id)), _is_visible(caller))
    found = await session.scalars(statement.order_by(col(TaskRow.created_at), col(TaskRow.id)))
    rows = sorted(found, key=lambda row: row.id != task_id)
    return rows if rows and rows[0].id == task_id else []


async def list_visible(
    session: AsyncSession,
    caller: Caller,
    page: PageRequest,
    *,
    project_id: str | None,
    state: TaskState | None,
    kind: TaskKind | None,
) -> tuple[list[TaskRow], str | None]:
    """The tasks that the caller may see, newest first. None means any project, state or kind."""
    statement = select(TaskRow).where(_is_visible(caller))
    if project_id is not None:
        statement = statement.where(col(TaskRow.subject_kind) == SubjectKind.PROJECT.value)
    for column, wanted in ((TaskRow.subject_id, project_id), (TaskRow.state, state), (TaskRow.kind, kind)):
        if wanted is not None:
            statement = statement.where(col(column) == wanted)
    return await read_page(session, statement, page, (TaskRow.created_at, TaskRow.id))


async def list_open(
    session: AsyncSession, after: str, limit: int
) -> list[tuple[TaskRow, str | None, QuestionRow | None]]:
    """Everybody's tasks that have not ended, by id, those behind `after`: each with the status of its project and the
    newest question that it asks."""
    of_project = col(TaskRow.subject_kind) == SubjectKind.PROJECT.value
    statement = (
        select(TaskRow, col(ProjectRow.status), QuestionRow)
        .outerjoin(ProjectRow, of_project & (col(ProjectRow.id) == col(TaskRow.subject_id)))
        .outerjoin(
            QuestionRow, (col(QuestionRow.task_id) == col(TaskRow.id)) & (col(QuestionRow.state) == QuestionState.OPEN)
        )
        .where(col(TaskRow.state).in_(_OPEN), col(TaskRow.id) > after)
        .order_by(col(TaskRow.id), col(QuestionRow.created_at).desc())
        .limit(limit)
    )
    found: dict[str, tuple[TaskRow, str | None, QuestionRow | None]] = {}
    for task, status, asked in await session.execute(statement):
        found.setdefault(task.id, (task, status, asked))
    return list(found.values())


async def recently_used_projects(session: AsyncSession, caller: Caller, limit: int) -> list[ProjectRow]:
    """The caller's projects, those first that were changed last."""
    statement = select(ProjectRow).where(visible_projects(caller))
    return list(await session.scalars(statement.order_by(col(ProjectRow.updated_at).desc()).limit(limit)))


def _is_visible(caller: Caller) -> ColumnElement[bool]:
    return allowed(caller, col(TaskRow.subject_kind), col(TaskRow.subject_id))
