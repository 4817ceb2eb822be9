"""Ports of servers. Each is given to one service of a project, which keeps it."""

import itertools
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.servers import replies
from api.tables import PortAllocationRow, ProjectRow, ReleaseRow, ServerRow
from api.visibility import visible_projects
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import PortAllocationDTO, PortAllocationRequest
from contracts.states import ServerKind, ServerStatus
from runtime.embedded.ports import can_listen

_USABLE = (ServerStatus.READY.value, ServerStatus.IN_USE.value)


async def allocate(session: AsyncSession, request: PortAllocationRequest) -> PortAllocationDTO:
    """A port for each service, all on one server; the same answer for every repetition.

    Raises NO_SERVER when none is usable, SERVER_UNREACHABLE (transient) when only one that is sick could be, NO_PORT
    when its range is used up, CONFLICT when the project lives elsewhere or has served at a port that it is to give up.
    """
    # First the project, then the server: all code locks in this order.
    if await session.get(ProjectRow, request.project_id, with_for_update=True) is None:
        raise not_found("project", request.project_id)
    kept = await _of_project(session, request.project_id)
    server = await _choose_server(session, request, kept)
    kept = await _give_up(session, kept, request)
    missing = [name for name in dict.fromkeys(request.services) if name not in {row.service for row in kept}]
    for service, port in zip(missing, await _free_ports(session, server, len(missing), request.avoid), strict=True):
        row = PortAllocationRow(project_id=request.project_id, service=service, server_handle=server.handle, port=port)
        session.add(row)
        kept.append(row)
    if server.status == ServerStatus.READY:
        server.status = ServerStatus.IN_USE
    await session.flush()
    return replies.allocation(server, [row for row in kept if row.service in set(request.services)])


async def list_visible(
    session: AsyncSession, caller: Caller, page: PageRequest, project_id: str | None
) -> tuple[list[PortAllocationDTO], str | None]:
    """The allocations of the projects that the caller may see, or of one of them: a part of the projects, by id."""
    mine = select(ProjectRow).where(
        visible_projects(caller), col(ProjectRow.id).in_(select(col(PortAllocationRow.project_id)))
    )
    if project_id is not None:
        mine = mine.where(col(ProjectRow.id) == project_id)
    projects, following = await read_page(session, mine, page, (ProjectRow.id,), descending=False)
    statement = (
        select(PortAllocationRow, ServerRow)
        .join(ServerRow, col(ServerRow.handle) == col(PortAllocationRow.server_handle))
        .where(col(PortAllocationRow.project_id).in_([project.id for project in projects]))
        .order_by(col(PortAllocationRow.project_id), col(PortAllocationRow.port))
    )
    grouped: dict[str, tuple[ServerRow, list[PortAllocationRow]]] = {}
    for row, server in await session.execute(statement):
        grouped.setdefault(row.project_id, (server, []))[1].append(row)
    return [replies.allocation(server, rows) for server, rows in grouped.values()], following


async def _of_project(session: AsyncSession, project_id: str) -> list[PortAllocationRow]:
    statement = select(PortAllocationRow).where(col(PortAllocationRow.project_id) == project_id)
    return list(await session.scalars(statement))


async def _choose_server(
    session: AsyncSession, request: PortAllocationRequest, kept: Sequence[PortAllocationRow]
) -> ServerRow:
    """The server, with its row locked: allocations on one server happen one after the other."""
    home = kept[0].server_handle if kept else None
    if home and request.server_handle not in (None, home):
        raise permanent(ErrorCode.CONFLICT, f"The project is on the server {home!r}. A deploy cannot move it.")
    handle = home or request.server_handle or await _least_used(session)
    server = await session.get(ServerRow, handle, with_for_update=True, populate_existing=True)
    if server is None or (not home and server.status not in _USABLE):
        raise permanent(ErrorCode.NO_SERVER, f"The server {handle!r} is not ready for services.")
    return server


async def _least_used(session: AsyncSession) -> str:
    used = func.count(col(PortAllocationRow.port))
    statement = (
        select(col(ServerRow.handle))
        .outerjoin(PortAllocationRow, col(PortAllocationRow.server_handle) == col(ServerRow.handle))
        .where(col(ServerRow.status).in_(_USABLE))
        .group_by(col(ServerRow.handle))
        .order_by(used - (col(ServerRow.port_to) - col(ServerRow.port_from)), col(ServerRow.handle))
    )
    handle = (await session.scalars(statement.limit(1))).first()
    if handle is None:
        raise await _nowhere(session)
    return handle


async def _give_up(
    session: AsyncSession, kept: list[PortAllocationRow], request: PortAllocationRequest
) -> list[PortAllocationRow]:
    """What the project keeps. A port that others hold is exchanged as long as nobody has been told of it."""
    given_up = [row for row in kept if row.port in request.avoid]
    if not given_up:
        return kept
    served = select(col(ReleaseRow.id)).where(col(ReleaseRow.project_id) == request.project_id, col(ReleaseRow.served))
    if (await session.scalars(served.limit(1))).first() is not None:
        ports = ", ".join(str(row.port) for row in given_up)
        raise permanent(
            ErrorCode.CONFLICT, f"The project has served at port {ports}, so it keeps it. Stop what else listens there."
        )
    for row in given_up:
        await session.delete(row)
    await session.flush()
    return [row for row in kept if row not in given_up]


def _usable(server: ServerRow, port: int, avoid: Sequence[int]) -> bool:
    """Whether nothing else holds the port, as far as can be seen: a machine of its own is looked at when it starts."""
    if port in avoid:
        return False
    if server.kind != ServerKind.MACHINE:
        return True
    here = server.public_ip == "localhost" or server.public_ip.startswith("127.")
    return can_listen("127.0.0.1" if here else "0.0.0.0", port)


async def _nowhere(session: AsyncSession) -> OrchestratorError:
    """Why there is no server for a new project. One that is sick is waited for: nothing goes elsewhere unasked."""
    sick = select(col(ServerRow.handle)).where(col(ServerRow.status) == ServerStatus.ERROR.value)
    handle = (await session.scalars(sick.order_by(col(ServerRow.handle)).limit(1))).first()
    if handle is None:
        return permanent(ErrorCode.NO_SERVER, "No server is ready. Add one, or wait until one is set up.")
    return OrchestratorError.transient(
        ErrorCode.SERVER_UNREACHABLE,
        f"The server {handle!r}, where new projects go, is not healthy. The log of the Temporal workers says why. "
        "Nothing is deployed elsewhere instead; repair that server, or choose another with ORCHESTRATOR_SERVER.",
    )


async def _free_ports(session: AsyncSession, server: ServerRow, count: int, avoid: Sequence[int]) -> list[int]:
    taken = set(
        await session.scalars(
            select(col(PortAllocationRow.port)).where(col(PortAllocationRow.server_handle) == server.handle)
        )
    )
    ports = (port for port in range(server.port_from, server.port_to + 1) if port not in taken)
    free = list(itertools.islice((port for port in ports if _usable(server, port, avoid)), count))
    if len(free) < count:
        raise permanent(
            ErrorCode.NO_PORT, f"The server {server.handle!r} has no free port left. Widen its range or add a server."
        )
    return free
