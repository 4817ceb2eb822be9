"""Servers and their incidents in the database."""

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy import update as update_rows
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.server_tables import ServerCredentialRow
from api.tables import IncidentRow, PortAllocationRow, ProjectRow, ReleaseRow, ServerRow
from api.visibility import visible_project_ids
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import ServerCreate, ServerUpdate
from contracts.servers.providers import ProviderMachine
from contracts.states import ProviderKind, ServerKind, ServerStatus
from contracts.wording import counted

_FIXED = {
    "handle", "kind", "public_ip", "ssh_host", "ssh_port", "ssh_user", "port_from", "port_to", "provider",
    "machine_id",
}  # fmt: skip
"""The status changes during a server's life, and so does what was found out about it; these do not."""
_KEPT = {"status", "provider", "machine_id", "managed", "cpu_cores"}
"""Of a server that the platform registers again: what it and its owners have decided since."""
_OUT_OF_REACH = {ServerStatus.RESERVED.value, ServerStatus.DECOMMISSIONED.value}
"""Only a person takes a server out of these, and only by the way that is made for it."""
_SETTABLE = {ServerStatus.READY, ServerStatus.IN_USE, ServerStatus.MAINTENANCE, ServerStatus.ERROR,
             ServerStatus.PENDING_SETUP}  # fmt: skip
"""What a person may simply say of a server; everything else has a way of its own, or is found out."""


async def create(session: AsyncSession, body: ServerCreate, caller: Caller) -> ServerRow:
    """The server with this handle; CONFLICT when it exists with other content. One that was removed begins anew."""
    content = body.model_dump(mode="json") | _pinned(body.host_key, caller.user_id)
    statement = insert(ServerRow).values(**content, created_at=utc_now())
    row = (await session.scalars(statement.on_conflict_do_nothing().returning(ServerRow))).one_or_none()
    if row is not None:
        return row
    row = await session.get_one(ServerRow, body.handle, with_for_update=True)
    if row.status == ServerStatus.DECOMMISSIONED:
        for name, value in (content | {"created_at": utc_now(), "price": "", "image": ""}).items():
            setattr(row, name, value)
        await session.flush()
    key_differs = body.host_key != "" and body.host_key != row.host_key
    if key_differs or row.model_dump(include=_FIXED) != body.model_dump(mode="json", include=_FIXED):
        raise permanent(ErrorCode.CONFLICT, f"The handle {body.handle!r} is taken by another server.")
    return row


def _pinned(host_key: str, by: int | None) -> dict[str, object]:
    """Since when a key is known, and by whom."""
    return {"host_key_pinned_at": utc_now() if host_key else None, "host_key_pinned_by": by if host_key else None}


async def register(session: AsyncSession, server: ServerCreate) -> ServerRow:
    """Insert the server, or update its address, range and status. One that is in use and ready stays `in_use`.

    The URLs of what runs there follow its address.
    """
    content = server.model_dump(mode="json")
    if server.kind is ServerKind.CONTAINER:
        content |= {"provider": ProviderKind.LOCAL.value, "managed": True}
    row_of = insert(ServerRow).values(**content, **_pinned(server.host_key, None), created_at=utc_now())
    await session.execute(row_of.on_conflict_do_nothing())
    row = await session.get_one(ServerRow, server.handle, with_for_update=True, populate_existing=True)
    if row.public_ip != server.public_ip:
        await _follow_address(session, row, server.public_ip)
    if row.host_key != server.host_key:
        for name, value in _pinned(server.host_key, None).items():
            setattr(row, name, value)
    for name, value in content.items():
        if name not in _KEPT:
            setattr(row, name, value)
    in_use = row.status == ServerStatus.IN_USE and server.status is ServerStatus.READY
    if not in_use and row.status not in _OUT_OF_REACH:
        row.status = server.status.value
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
    statement = select(ServerRow).where(_is_visible(caller), col(ServerRow.status) != ServerStatus.DECOMMISSIONED.value)
    return await read_page(session, statement, page, (ServerRow.handle,), descending=False)


async def update(session: AsyncSession, handle: str, body: ServerUpdate) -> ServerRow:
    """Change the given fields; NOT_FOUND when there is no such server, SERVER_RESERVED, or INVALID_INPUT for a status
    that is not simply said."""
    row = await locked(session, handle)
    if body.status is not None and body.status is not ServerStatus(row.status):
        refuse_reserved(row)
        if body.status not in _SETTABLE:
            raise permanent(ErrorCode.INVALID_INPUT, f"A server does not become {body.status.value!r} by saying so.")
    for name, value in body.model_dump(mode="json", exclude_none=True).items():
        setattr(row, name, value)
    await session.flush()
    return row


async def locked(session: AsyncSession, handle: str) -> ServerRow:
    """The server, with its row locked until the commit; NOT_FOUND when there is none, or none any more."""
    row = await session.get(ServerRow, handle, with_for_update=True, populate_existing=True)
    if row is None or row.status == ServerStatus.DECOMMISSIONED:
        raise not_found("server", handle)
    return row


def refuse_reserved(row: ServerRow) -> None:
    """Raises SERVER_RESERVED for a server that nobody may touch."""
    if row.status == ServerStatus.RESERVED:
        raise permanent(
            ErrorCode.SERVER_RESERVED,
            f"The server {row.handle!r} is reserved, and nothing is done to it. If that is over: "
            f"orchestrator server release {row.handle}",
        )


async def projects_on(session: AsyncSession, handle: str) -> list[str]:
    """Ids of the projects that have a place on the server, sorted."""
    found = select(col(PortAllocationRow.project_id)).where(col(PortAllocationRow.server_handle) == handle).distinct()
    return sorted(await session.scalars(found))


async def refuse_inhabited(session: AsyncSession, handle: str) -> None:
    """Raises SERVER_NOT_EMPTY while a project lives there."""
    living = await projects_on(session, handle)
    if living:
        raise permanent(
            ErrorCode.SERVER_NOT_EMPTY,
            f"{counted(len(living), 'project')} {'lives' if len(living) == 1 else 'live'} on {handle!r}. Remove what "
            "runs there first: "
            "orchestrator deploy remove PROJECT",
        )


async def reserve(session: AsyncSession, handle: str) -> ServerRow:
    """Take a server out of the platform's reach; again, it stays so. Raises SERVER_NOT_EMPTY."""
    row = await locked(session, handle)
    if row.status != ServerStatus.RESERVED:
        await refuse_inhabited(session, handle)
        row.status_before, row.status = row.status, ServerStatus.RESERVED.value
        await session.flush()
    return row


async def release(session: AsyncSession, handle: str) -> ServerRow:
    """Give a reserved server back, as it was before; again, it stays so."""
    row = await locked(session, handle)
    if row.status == ServerStatus.RESERVED:
        row.status, row.status_before = row.status_before or ServerStatus.MAINTENANCE.value, None
        await session.flush()
    return row


async def manage(session: AsyncSession, handle: str, *, managed: bool) -> ServerRow:
    """Say whether the platform may set the machine up. Its own machine stays its owner's."""
    row = await locked(session, handle)
    refuse_reserved(row)
    if managed and row.kind == ServerKind.MACHINE:
        raise permanent(
            ErrorCode.SERVER_NOT_MANAGED, "This is the machine that the platform itself runs on: it is never set up."
        )
    row.managed = managed
    await session.flush()
    return row


async def set_host_key(session: AsyncSession, handle: str, host_key: str, by: int) -> ServerRow:
    """The keys that a person gives, in place of those before."""
    row = await locked(session, handle)
    refuse_reserved(row)
    row.host_key, row.host_key_pinned_at, row.host_key_pinned_by = host_key, utc_now(), by
    await session.flush()
    return row


async def pin_host_key(session: AsyncSession, handle: str, host_key: str) -> ServerRow:
    """The keys that the platform has met at first contact; known ones are checked, and raise HOST_KEY_CHANGED."""
    row = await locked(session, handle)
    if not row.host_key:
        row.host_key, row.host_key_pinned_at, row.host_key_pinned_by = host_key, utc_now(), None
        await session.flush()
    if not _agree(row.host_key, host_key):
        raise permanent(
            ErrorCode.HOST_KEY_CHANGED,
            f"The server {handle!r} shows another host key than before, so it may be another machine. Compare it on "
            f"the machine's own console; if it is right: orchestrator server host-key {handle}",
        )
    return row


def _agree(known: str, shown: str) -> bool:
    """Whether one key is the same, and no other one of the same type differs."""
    keys = dict(line.split()[:2] for line in known.splitlines() if line.strip())
    seen = dict(line.split()[:2] for line in shown.splitlines() if line.strip())
    common = keys.keys() & seen.keys()
    return bool(common) and all(keys[kind] == seen[kind] for kind in common)


async def record_machine(session: AsyncSession, machine: ProviderMachine) -> ServerRow:
    """What a provider says of a server's machine now. Where it is, and by which key it is known, stays as it was."""
    row = await locked(session, machine.ref.server_handle)
    row.price, row.image, row.provider_seen_at = machine.price, machine.image, utc_now()
    for name in ("cpu_cores", "ram_mb", "disk_mb"):
        setattr(row, name, getattr(machine, name) or getattr(row, name))
    await session.flush()
    return row


async def list_credentials(session: AsyncSession, handle: str) -> list[ServerCredentialRow]:
    """What opens the server, by name."""
    await locked(session, handle)
    statement = select(ServerCredentialRow).where(col(ServerCredentialRow.server_handle) == handle)
    return list(await session.scalars(statement.order_by(col(ServerCredentialRow.name))))


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
