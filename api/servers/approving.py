"""Routes of approvals: asking for what loses data or a machine, and deciding it."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.audit.trail import Act, audited
from api.auth import Admin
from api.database import Session
from api.paging import PageDep
from api.servers import approvals, replies
from contracts.base import Identifier
from contracts.nouns import ServerDTO
from contracts.servers.approvals import (
    ApprovalDecision,
    ApprovalDTO,
    ApprovalList,
    ApprovalRequest,
    ServerRemoval,
)

router = APIRouter(tags=["servers"])

Handle = Annotated[Identifier, Path()]
ApprovalId = Annotated[Identifier, Path()]


@router.post("/servers/{handle}/approvals", status_code=201)
async def request_approval(
    act: Annotated[Act, audited("server_approval.request")],
    handle: Handle,
    body: ApprovalRequest,
    session: Session,
    caller: Admin,
) -> ApprovalDTO:
    """Ask for something that loses data or a machine. The answer has the plan to decide by; nothing is done yet."""
    act.tell(approval=body.approval_id, act=body.act)
    return replies.approval(await approvals.request(session, handle, body, caller.user_id))


@router.get("/servers/{handle}/approvals")
async def list_approvals(handle: Handle, session: Session, caller: Admin, page: PageDep) -> ApprovalList:
    """What was asked for on a server, newest first."""
    rows, following = await approvals.list_of_server(session, handle, page)
    return ApprovalList(items=[replies.approval(row) for row in rows], next_cursor=following)


@router.get("/servers/{handle}/approvals/{approval_id}")
async def show_approval(handle: Handle, approval_id: ApprovalId, session: Session, caller: Admin) -> ApprovalDTO:
    return replies.approval(await approvals.find(session, handle, approval_id))


@router.post("/servers/{handle}/approvals/{approval_id}/decision")
async def decide_approval(
    act: Annotated[Act, audited("server_approval.decide")],
    handle: Handle,
    approval_id: ApprovalId,
    body: ApprovalDecision,
    session: Session,
    caller: Admin,
) -> ApprovalDTO:
    """Approve or refuse the plan that you have seen. The first decision counts; an approval lasts a day."""
    act.tell(approved=body.approved, plan=body.plan_hash)
    return replies.approval(await approvals.decide(session, handle, approval_id, body, caller.user_id))


@router.post("/servers/{handle}/remove")
async def remove_server(
    act: Annotated[Act, audited("server.remove")],
    handle: Handle,
    body: ServerRemoval,
    session: Session,
    caller: Admin,
) -> ServerDTO:
    """Forget a server, with what opens it. The machine itself stays as it is."""
    act.tell(approval=body.approval_id, plan=body.plan_hash)
    return replies.server(await approvals.remove(session, handle, body))
