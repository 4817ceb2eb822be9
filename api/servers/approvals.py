"""What people allow to be done to servers, and the gate that every order has to pass."""

import hashlib
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.server_tables import ServerApprovalRow, ServerCredentialRow
from api.servers import queries
from api.tables import ServerRow, UserRow
from contracts.base import Actor, utc_now
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.approvals import (
    APPROVAL_TTL_S,
    ApprovalDecision,
    ApprovalRequest,
    RecordedDecision,
    ServerPlan,
    ServerRemoval,
)
from contracts.servers.providers import ProviderOrder
from contracts.states import (
    ActorVia,
    ApprovalState,
    ProviderActionKind,
    ProviderKind,
    Role,
    ServerAct,
    ServerKind,
    ServerStatus,
    UserState,
)

_CAN = {
    ProviderKind.STATIC: {ServerAct.REMOVE},
    ProviderKind.TIME4VPS: {ServerAct.REINSTALL, ServerAct.REMOVE},
    ProviderKind.LOCAL: set(ServerAct),
}
_NEEDS_EMPTY = {ServerAct.DESTROY, ServerAct.REMOVE}
"""A machine that is installed anew gets its projects back; after these there is nowhere to put them."""


async def make_plan(session: AsyncSession, row: ServerRow, act: ServerAct, image: str) -> ServerPlan:
    """What the act means for the server as it is now."""
    return ServerPlan(
        act=act,
        server_handle=row.handle,
        provider=ProviderKind(row.provider),
        machine_id=row.machine_id,
        public_ip=row.public_ip,
        host_key=hashlib.sha256(row.host_key.encode()).hexdigest() if row.host_key else "",
        image=image,
        price=row.price,
        projects=await queries.projects_on(session, row.handle),
    )


async def request(session: AsyncSession, handle: str, body: ApprovalRequest, by: int | None) -> ServerApprovalRow:
    """Ask for an act on a server. The same id is the same request. Raises SERVER_…, PROVIDER_CANNOT or CONFLICT."""
    row = await _touchable(session, handle)
    known = await session.get(ServerApprovalRow, body.approval_id)
    if known is not None:
        plan = ServerPlan.model_validate(known.plan)
        if (known.server_handle, plan.act, plan.image) != (handle, body.act, body.image):
            raise permanent(ErrorCode.CONFLICT, f"The id {body.approval_id!r} was used for something else.")
        return known
    if body.act not in _CAN[ProviderKind(row.provider)]:
        raise permanent(
            ErrorCode.PROVIDER_CANNOT, f"{row.provider} cannot {body.act.value} {handle!r}: do that yourself, there."
        )
    if body.act in _NEEDS_EMPTY:
        await queries.refuse_inhabited(session, handle)
    plan = await make_plan(session, row, body.act, body.image)
    made = ServerApprovalRow(
        id=body.approval_id,
        server_handle=handle,
        act=body.act.value,
        plan=plan.model_dump(mode="json"),
        plan_hash=plan.hash,
        state=ApprovalState.OPEN.value,
        requested_by=by,
    )
    session.add(made)
    await session.flush()
    return made


async def find(session: AsyncSession, handle: str, approval_id: str) -> ServerApprovalRow:
    """The approval of this server; NOT_FOUND when there is none."""
    row = await session.get(ServerApprovalRow, approval_id, populate_existing=True)
    if row is None or row.server_handle != handle:
        raise not_found("approval", approval_id)
    return row


async def list_of_server(
    session: AsyncSession, handle: str, page: PageRequest
) -> tuple[list[ServerApprovalRow], str | None]:
    """What was asked for on a server, newest first."""
    statement = select(ServerApprovalRow).where(col(ServerApprovalRow.server_handle) == handle)
    return await read_page(session, statement, page, (ServerApprovalRow.requested_at, ServerApprovalRow.id))


async def decide(
    session: AsyncSession, handle: str, approval_id: str, body: ApprovalDecision, by: int
) -> ServerApprovalRow:
    """The first decision counts, and is for the plan that was seen. Raises APPROVAL_STALE, CONFLICT or SERVER_…"""
    server = await _touchable(session, handle)
    row = await find(session, handle, approval_id)
    wanted = ApprovalState.APPROVED if body.approved else ApprovalState.REFUSED
    if row.state != ApprovalState.OPEN:
        if row.state == wanted and row.decided_by == by:
            return row
        raise permanent(ErrorCode.CONFLICT, f"That was decided already: {row.state}.")
    if body.plan_hash != row.plan_hash or (body.approved and not await _is_current(session, server, row)):
        raise _stale(f"The server {handle!r} is not as it was when this was asked for.")
    now = utc_now()
    row.state, row.decided_by, row.decided_at = wanted.value, by, now
    row.expires_at = now + timedelta(seconds=APPROVAL_TTL_S) if body.approved else None
    await session.flush()
    return row


async def record(session: AsyncSession, handle: str, approval_id: str, body: RecordedDecision) -> ServerApprovalRow:
    """What a person has answered to a workflow. Only an administrator's answer counts, by the table of users."""
    await _refuse_others_than_admins(session, body.actor)
    decision = ApprovalDecision(approved=body.approved, plan_hash=body.plan_hash)
    return await decide(session, handle, approval_id, decision, body.actor.user_id)


async def admit(session: AsyncSession, handle: str, order: ProviderOrder) -> ServerRow:
    """Let an order out to a provider; an order that was let out before may come again.

    Raises SERVER_RESERVED, SERVER_NOT_MANAGED, CONFLICT for another machine than the server's, APPROVAL_MISSING,
    APPROVAL_STALE, SERVER_NOT_EMPTY.
    """
    row = await _touchable(session, handle)
    place = (order.ref.provider.value, order.ref.server_handle, order.ref.id_there)
    if place != (row.provider, row.handle, row.machine_id or row.handle):
        raise permanent(ErrorCode.CONFLICT, f"The order is for another machine than that of {handle!r}.")
    if order.kind is ProviderActionKind.RESET_PASSWORD:
        return row
    act = ServerAct(order.kind.value)
    is_new = await _use(session, row, act, order.approval_id, order.plan_hash, order.order_id, order)
    if is_new:
        # Whatever is there afterwards is another machine, with another key.
        row.host_key, row.host_key_pinned_at, row.host_key_pinned_by = "", None, None
        if order.kind is ProviderActionKind.DESTROY:
            row.status = ServerStatus.MISSING.value
        await session.flush()
    return row


async def remove(session: AsyncSession, handle: str, body: ServerRemoval) -> ServerRow:
    """Forget a server: its row stays for what refers to it, and nothing opens it any more."""
    row = await _touchable(session, handle)
    await _use(session, row, ServerAct.REMOVE, body.approval_id, body.plan_hash, body.approval_id)
    row.status = ServerStatus.DECOMMISSIONED.value
    opened_by = select(ServerCredentialRow).where(col(ServerCredentialRow.server_handle) == handle)
    for credential in await session.scalars(opened_by):
        await session.delete(credential)
    await session.flush()
    return row


async def _use(
    session: AsyncSession,
    server: ServerRow,
    act: ServerAct,
    approval_id: str,
    plan_hash: str,
    used_by: str,
    order: ProviderOrder | None = None,
) -> bool:
    """Use an approval up; False if this very order has done so before."""
    row = await session.get(ServerApprovalRow, approval_id, with_for_update=True, populate_existing=True)
    if row is None or row.server_handle != server.handle or row.act != act.value:
        raise _missing(f"Nobody has approved to {act.value} {server.handle!r}.")
    if row.plan_hash != plan_hash:
        raise _stale("The approval is for another plan.")
    if row.state == ApprovalState.USED and row.used_by == used_by:
        return False
    if row.state == ApprovalState.USED:
        raise _stale("The approval was used already, for something else.")
    if row.state != ApprovalState.APPROVED:
        raise _missing(f"Nobody has approved to {act.value} {server.handle!r}: {row.state}.")
    if row.expires_at is None or row.expires_at <= utc_now():
        raise _stale("The approval is more than a day old.")
    if act in _NEEDS_EMPTY:
        await queries.refuse_inhabited(session, server.handle)
    if not await _is_current(session, server, row) or (order is not None and not _is_planned(order, row)):
        raise _stale(f"The server {server.handle!r} is not as it was when this was approved.")
    row.state, row.used_by, row.used_at = ApprovalState.USED.value, used_by, utc_now()
    await session.flush()
    return True


async def _is_current(session: AsyncSession, server: ServerRow, row: ServerApprovalRow) -> bool:
    """Whether the same plan would come of the server as it is now."""
    plan = ServerPlan.model_validate(row.plan)
    return (await make_plan(session, server, plan.act, plan.image)).hash == row.plan_hash


def _is_planned(order: ProviderOrder, row: ServerApprovalRow) -> bool:
    """Whether the order says the same as the plan, where it says anything of it."""
    plan = ServerPlan.model_validate(row.plan)
    return order.image == plan.image and order.price in (None, plan.price)


async def _touchable(session: AsyncSession, handle: str) -> ServerRow:
    """The server with its row locked; SERVER_RESERVED or SERVER_NOT_MANAGED where nothing may be done to it."""
    row = await queries.locked(session, handle)
    queries.refuse_reserved(row)
    if not row.managed or row.kind == ServerKind.MACHINE:
        raise permanent(
            ErrorCode.SERVER_NOT_MANAGED,
            f"The platform only deploys to {handle!r}, and does nothing else to it. If it may: "
            f"orchestrator server manage {handle}",
        )
    return row


async def _refuse_others_than_admins(session: AsyncSession, actor: Actor) -> None:
    user = await session.get(UserRow, actor.user_id, populate_existing=True)
    is_admin = user is not None and user.role == Role.ADMIN and user.state == UserState.ACTIVE
    if not is_admin or actor.via in {ActorVia.AGENT, ActorVia.SCHEDULE} or actor.role is not Role.ADMIN:
        raise permanent(ErrorCode.NOT_ALLOWED, "Only an admin approves what is done to servers.")


def _missing(message: str) -> OrchestratorError:
    return permanent(ErrorCode.APPROVAL_MISSING, message)


def _stale(message: str) -> OrchestratorError:
    return permanent(ErrorCode.APPROVAL_STALE, f"{message} Look at it, and ask for approval again.")
