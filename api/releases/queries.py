"""Releases in the database."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found
from api.tables import ReleaseRow
from api.visibility import visible_project_ids
from contracts.states import ReleaseState


async def find(session: AsyncSession, caller: Caller, release_id: str) -> ReleaseRow:
    """The release; NOT_FOUND when there is none for this caller."""
    statement = select(ReleaseRow).where(
        col(ReleaseRow.id) == release_id, col(ReleaseRow.project_id).in_(visible_project_ids(caller))
    )
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("release", release_id)
    return row


async def list_of_project(session: AsyncSession, project_id: str) -> list[ReleaseRow]:
    """A project's releases, newest first."""
    statement = select(ReleaseRow).where(col(ReleaseRow.project_id) == project_id)
    return list(await session.scalars(statement.order_by(col(ReleaseRow.number).desc())))


async def list_part(session: AsyncSession, project_id: str, page: PageRequest) -> tuple[list[ReleaseRow], str | None]:
    """A part of a project's releases, newest first."""
    statement = select(ReleaseRow).where(col(ReleaseRow.project_id) == project_id)
    return await read_page(session, statement, page, (ReleaseRow.number,))


async def find_active(session: AsyncSession, project_id: str) -> ReleaseRow | None:
    """The release that serves now."""
    statement = select(ReleaseRow).where(
        col(ReleaseRow.project_id) == project_id, col(ReleaseRow.state) == ReleaseState.ACTIVE
    )
    return (await session.scalars(statement)).one_or_none()


async def list_active(session: AsyncSession) -> list[ReleaseRow]:
    """What serves now, of all projects."""
    statement = select(ReleaseRow).where(col(ReleaseRow.state) == ReleaseState.ACTIVE).order_by(col(ReleaseRow.id))
    return list(await session.scalars(statement))
