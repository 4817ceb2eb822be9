"""Servers, what is allocated on them, and their incidents."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.audit.trail import Act, audited
from api.auth import Admin, Person
from api.database import Session
from api.paging import PageDep
from api.servers import allocations, checks, queries, replies
from api.vault import VaultDep
from contracts.base import Identifier
from contracts.nouns import IncidentList, PortAllocationList, ServerCreate, ServerDTO, ServerList, ServerUpdate
from contracts.project_spec import SecretName
from contracts.servers.registry import (
    HostKey,
    ServerCredentialDTO,
    ServerCredentialList,
    ServerCredentialWrite,
    ServerManagement,
)

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
    act.tell(provider=body.provider.value, managed=body.managed, status=body.status.value)
    return replies.server(await queries.create(session, checks.new_server(body), caller))


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


@router.post("/servers/{handle}/reserve")
async def reserve_server(
    act: Annotated[Act, audited("server.reserve")], handle: Handle, session: Session, caller: Admin
) -> ServerDTO:
    """Take a server out of the platform's reach until it is released: nobody deploys to it or sets it up."""
    return replies.server(await queries.reserve(session, handle))


@router.post("/servers/{handle}/release")
async def release_server(
    act: Annotated[Act, audited("server.release")], handle: Handle, session: Session, caller: Admin
) -> ServerDTO:
    """Give a reserved server back, as it was before."""
    return replies.server(await queries.release(session, handle))


@router.put("/servers/{handle}/management")
async def manage_server(
    act: Annotated[Act, audited("server.manage")],
    handle: Handle,
    body: ServerManagement,
    session: Session,
    caller: Admin,
) -> ServerDTO:
    """Say whether the platform may set the machine up, and change it. Without that it only deploys to it."""
    act.tell(managed=body.managed)
    return replies.server(await queries.manage(session, handle, managed=body.managed))


@router.put("/servers/{handle}/host-key")
async def set_host_key(
    act: Annotated[Act, audited("server.host_key")],
    handle: Handle,
    body: HostKey,
    session: Session,
    caller: Admin,
) -> ServerDTO:
    """The keys by which the machine is known from now on. Compare them on its own console first."""
    keys = checks.host_keys(body.host_key)
    act.tell(sha256=hashlib.sha256(keys.encode()).hexdigest())
    return replies.server(await queries.set_host_key(session, handle, keys, caller.user_id))


@router.get("/servers/{handle}/credentials")
async def list_server_credentials(handle: Handle, session: Session, caller: Admin) -> ServerCredentialList:
    """Names of what opens the server, never values."""
    return replies.credentials(await queries.list_credentials(session, handle))


@router.put("/servers/{handle}/credentials/{name}")
async def set_server_credential(
    act: Annotated[Act, audited("server_credential.set")],
    handle: Handle,
    name: Annotated[SecretName, Path()],
    body: ServerCredentialWrite,
    session: Session,
    caller: Admin,
    vault: VaultDep,
) -> ServerCredentialDTO:
    """Store what opens the server, such as ROOT_PASSWORD of a new machine. Nobody reads it back."""
    queries.refuse_reserved(await queries.locked(session, handle))
    written = await vault.write_of_server(session, handle, name, body.value.get_secret_value())
    return replies.credential(written)


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
