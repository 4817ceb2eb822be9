"""What a caller may see. What belongs to others is answered exactly like something unknown."""

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found, permanent
from api.tables import ProjectRow
from contracts.errors import ErrorCode
from contracts.states import ProjectStatus


def visible_projects(caller: Caller) -> ColumnElement[bool]:
    """The condition on `projects` for what the caller may see."""
    if caller.sees_all:
        return true()
    own = col(ProjectRow.owner_id) == caller.user_id
    return own if caller.project_id is None else own & (col(ProjectRow.id) == caller.project_id)


def visible_project_ids(caller: Caller) -> Select[str]:
    """Ids of the projects that the caller may see, as a subquery."""
    return select(col(ProjectRow.id)).where(visible_projects(caller))


async def find_project(session: AsyncSession, caller: Caller, project_id: str, *, lock: bool = False) -> ProjectRow:
    """The project; NOT_FOUND when there is none for this caller. `lock` holds its row until the commit."""
    statement = select(ProjectRow).where(col(ProjectRow.id) == project_id, visible_projects(caller))
    if lock:
        statement = statement.with_for_update()
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("project", project_id)
    return row


async def find_working_project(session: AsyncSession, caller: Caller, project_id: str) -> ProjectRow:
    """A project on which new work may start; CONFLICT when it is archived."""
    row = await find_project(session, caller, project_id)
    if row.status == ProjectStatus.ARCHIVED:
        raise permanent(ErrorCode.CONFLICT, f"The project {row.name!r} is archived. Un-archive it to work on it.")
    return row
