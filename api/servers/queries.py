"""Servers and their incidents in the database."""

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy import update as update_rows
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.tables import IncidentRow, PortAllocationRow, ProjectRow, ReleaseRow, ServerRow
from api.visibility import visible_project_ids
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import ServerCreate, ServerUpdate
from contracts.states import ServerStatus

_FIXED = {
    "handle", "kind", "public_ip", "ssh_host", "ssh_port", "ssh_user", "host_key", "port_from", "port_to",
}  # fmt: skip
"""The status changes during a server's life, and so does what was found out about it; these do not."""


async def create(session: AsyncSession, body: ServerCreate) -> ServerRow:
    """The server with this handle; CONFLICT when it exists with other content."""
    statement = insert(ServerRow).values(**body.model_dump(mode="json"), created_at=utc_now())
    row = (await session.scalars(statement.on_conflict_do_nothing().returning(ServerRow))).one_or_none()
    if row is None:
        row = await session.get_one(ServerRow, body.handle)
    if row.model_dump(include=_FIXED) != body.model_dump(mode="json", include=_FIXED):
        raise permanent(ErrorCode.CONFLICT, f"The handle {body.handle!r} is taken by another server.")
    return row


async def register(session: AsyncSession, server: ServerCreate) -> ServerRow:
    """Insert the server, or update its address, range and status. One that is in use and ready stays `in_use`.

    The URLs of what runs there follow its address.
    """
    content = server.model_dump(mode="json")
    statement = insert(ServerRow).values(**content, created_at=utc_now()).on_conflict_do_nothing()
    await session.execute(statement)
    row = await session.get_one(ServerRow, server.handle, with_for_update=True, populate_existing=True)
    if row.public_ip != server.public_ip:
        await _follow_address(session, row, server.public_ip)
    in_use = row.status == ServerStatus.IN_USE and server.status is ServerStatus.READY
    for name, value in content.items():
        if name != "status" or not in_use:
            setattr(row, name, value)
    await session.flush()
    return row


async def _follow_address(session: AsyncSession, server: ServerRow, address: str) -> None:
    here = select(col(PortAllocationRow.project_id)).where(col(PortAllocationRow.server_handle) == server.handle)
    before, now = (f"://{part}:" for part in (server.public_ip, address))
    for row, of_project in ((ProjectRow, ProjectRow.id), (ReleaseRow, ReleaseRow.project_id)):
        statement = update_rows(row).where(col(of_project).in_(here), col(row.url).contains(before, autoescape=True))
        await session.execute(statement.values(url=func.replace(col(row.url), before, now)))


async def find(session: AsyncSession, caller: Caller, handle: str) -> ServerRow:
    """The server; NOT_FOUND when there is none for this caller."""
    statement = select(ServerRow).where(col(ServerRow.handle) == handle, _is_visible(caller))
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("server", handle)
    return row


async def list_visible(session: AsyncSession, caller: Caller, page: PageRequest) -> tuple[list[ServerRow], str | None]:
    """The servers that the caller may see: an admin all, a member those with something of theirs on them."""
    statement = select(ServerRow).where(_is_visible(caller))
    return await read_page(session, statement, page, (ServerRow.handle,), descending=False)


async def update(session: AsyncSession, handle: str, body: ServerUpdate) -> ServerRow:
    """Change the given fields; NOT_FOUND when there is no such server."""
    row = await session.get(ServerRow, handle, with_for_update=True)
    if row is None:
        raise not_found("server", handle)
    for name, value in body.model_dump(mode="json", exclude_none=True).items():
        setattr(row, name, value)
    await session.flush()
    return row


async def list_incidents(
    session: AsyncSession, caller: Caller, page: PageRequest
) -> tuple[list[IncidentRow], str | None]:
    """Incidents, newest first, of the servers that the caller may see."""
    statement = select(IncidentRow)
    if not caller.sees_all:
        statement = statement.where(col(IncidentRow.server_handle).in_(_visible_handles(caller)))
    return await read_page(session, statement, page, (IncidentRow.detected_at, IncidentRow.id))


def _is_visible(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else col(ServerRow.handle).in_(_visible_handles(caller))


def _visible_handles(caller: Caller) -> Select[str]:
    """Handles of the servers on which something that the caller may see lives, as a subquery."""
    allocations = select(col(PortAllocationRow.server_handle))
    return allocations.where(col(PortAllocationRow.project_id).in_(visible_project_ids(caller)))
