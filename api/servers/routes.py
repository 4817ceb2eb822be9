"""Servers, what is allocated on them, and their incidents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.audit.trail import Act, audited
from api.auth import Admin, Person
from api.database import Session
from api.paging import PageDep
from api.problems import permanent
from api.servers import allocations, queries, replies
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.nouns import IncidentList, PortAllocationList, ServerCreate, ServerDTO, ServerList, ServerUpdate

router = APIRouter(tags=["servers"])

Handle = Annotated[Identifier, Path()]


@router.post("/servers", status_code=201)
async def create_server(
    act: Annotated[Act, audited("server.create")],
    body: ServerCreate,
    session: Session,
    caller: Admin,
) -> ServerDTO:
    """Create a server. The same handle with the same content is the same server; with other content, a conflict."""
    act.on(body.handle)
    if body.port_from > body.port_to:
        raise permanent(ErrorCode.INVALID_INPUT, "`port_from` must not be above `port_to`.")
    return replies.server(await queries.create(session, body))


@router.get("/servers")
async def list_servers(session: Session, caller: Person, page: PageDep) -> ServerList:
    """List servers: an admin sees all, a member those with something of theirs on them."""
    rows, following = await queries.list_visible(session, caller, page)
    return ServerList(items=[replies.server(row) for row in rows], next_cursor=following)


@router.get("/servers/{handle}")
async def show_server(handle: Handle, session: Session, caller: Person) -> ServerDTO:
    return replies.server(await queries.find(session, caller, handle))


@router.patch("/servers/{handle}")
async def update_server(
    act: Annotated[Act, audited("server.update")],
    handle: Handle,
    body: ServerUpdate,
    session: Session,
    caller: Admin,
) -> ServerDTO:
    """Change the given fields of a server."""
    act.tell(status=body.status)
    return replies.server(await queries.update(session, handle, body))


@router.get("/allocations")
async def list_allocations(
    session: Session,
    caller: Person,
    page: PageDep,
    project_id: Annotated[Identifier | None, Query()] = None,
) -> PortAllocationList:
    """Who has which ports, by project."""
    items, following = await allocations.list_visible(session, caller, page, project_id)
    return PortAllocationList(items=items, next_cursor=following)


@router.get("/incidents")
async def list_incidents(session: Session, caller: Person, page: PageDep) -> IncidentList:
    """List incidents, newest first. A member sees those of servers with something of theirs on them."""
    rows, following = await queries.list_incidents(session, caller, page)
    return IncidentList(items=[replies.incident(row) for row in rows], next_cursor=following)
