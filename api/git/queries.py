"""Which repository an address means."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found
from api.tables import ProjectRow
from api.visibility import find_project, find_working_project, visible_projects


async def find_repository(session: AsyncSession, caller: Caller, slug: str, *, to_push: bool) -> str:
    """`org/name` of the project with this slug.

    NOT_FOUND when the caller may not see it or it is empty. To push, the caller must be able to work on it.
    """
    statement = select(col(ProjectRow.id)).where(col(ProjectRow.slug) == slug, visible_projects(caller))
    project_id = (await session.scalars(statement)).one_or_none()
    if project_id is None:
        raise not_found("repository", slug)
    find = find_working_project if to_push else find_project
    row = await find(session, caller, project_id)
    if not row.scaffolded:
        raise not_found("repository", slug)
    return row.repository
