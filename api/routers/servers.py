"""Servers, what is allocated on them, and their incidents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy import select, true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from api import allocations, replies
from api.auth import Admin, Caller, Person
from api.database import Session
from api.problems import not_found, permanent
from api.scope import visible_project_ids, visible_servers
from api.tables import IncidentRow, ServerRow
from contracts.base import Identifier, utc_now
from contracts.errors import ErrorCode
from contracts.nouns import (
    IncidentDTO,
    IncidentList,
    PortAllocationList,
    ServerCreate,
    ServerDTO,
    ServerList,
    ServerUpdate,
)

router = APIRouter(tags=["servers"])

Handle = Annotated[Identifier, Path()]


@router.post("/servers", status_code=201)
async def create_server(body: ServerCreate, session: Session, caller: Admin) -> ServerDTO:
    """The same handle with the same content is the same server; with another content, a conflict."""
    if body.port_from > body.port_to:
        raise permanent(ErrorCode.INVALID_INPUT, "`port_from` must not be above `port_to`.")
    statement = insert(ServerRow).values(**body.model_dump(mode="json"), created_at=utc_now())
    added = await session.scalars(statement.on_conflict_do_nothing().returning(ServerRow))
    row = added.one_or_none()
    if row is None:
        row = await session.get_one(ServerRow, body.handle)
    # The status changes during a server's life, and so does what was found out about it.
    fixed = {"handle", "public_ip", "ssh_user", "port_from", "port_to"}
    if row.model_dump(include=fixed) != body.model_dump(include=fixed):
        raise permanent(ErrorCode.CONFLICT, f"The handle {body.handle!r} is taken by another server.")
    return replies.server(row)


@router.get("/servers")
async def list_servers(session: Session, caller: Person) -> ServerList:
    """All for an admin; for a member those on which something of theirs lives."""
    statement = select(ServerRow).order_by(col(ServerRow.handle))
    if not caller.sees_all:
        statement = statement.where(col(ServerRow.handle).in_(visible_servers(caller)))
    return ServerList(items=[replies.server(row) for row in await session.scalars(statement)])


@router.get("/servers/{handle}")
async def show_server(handle: Handle, session: Session, caller: Person) -> ServerDTO:
    visible = true() if caller.sees_all else col(ServerRow.handle).in_(visible_servers(caller))
    row = (await session.scalars(select(ServerRow).where(col(ServerRow.handle) == handle, visible))).one_or_none()
    if row is None:
        raise not_found("server", handle)
    return replies.server(row)


@router.patch("/servers/{handle}")
async def update_server(handle: Handle, body: ServerUpdate, session: Session, caller: Admin) -> ServerDTO:
    """Change what is given."""
    row = await session.get(ServerRow, handle, with_for_update=True)
    if row is None:
        raise not_found("server", handle)
    for name, value in body.model_dump(mode="json", exclude_none=True).items():
        setattr(row, name, value)
    await session.flush()
    return replies.server(row)


@router.get("/allocations")
async def list_allocations(
    session: Session, caller: Person, project_id: Annotated[Identifier | None, Query()] = None
) -> PortAllocationList:
    """Who has which ports, by project."""
    return PortAllocationList(items=await allocations.read(session, visible_project_ids(caller), project_id))


@router.get("/incidents")
async def list_incidents(session: Session, caller: Person) -> IncidentList:
    """The newest hundred; for a member those of servers on which something of theirs lives."""
    return IncidentList(items=await _incidents(session, caller))


async def _incidents(session: Session, caller: Caller) -> list[IncidentDTO]:
    statement = select(IncidentRow).order_by(col(IncidentRow.detected_at).desc()).limit(100)
    if not caller.sees_all:
        statement = statement.where(col(IncidentRow.server_handle).in_(visible_servers(caller)))
    return [replies.incident(row) for row in await session.scalars(statement)]
