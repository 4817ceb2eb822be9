"""The audit trail, for admins. There is no route that changes it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from api.audit import queries, replies
from api.auth import Admin
from api.database import Session
from api.paging import PageDep
from contracts.access import AuditList

router = APIRouter(tags=["users"])

Word = Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9._:/-]*$")]


@router.get("/audit")
async def list_audit(
    session: Session,
    caller: Admin,
    page: PageDep,
    user_id: Annotated[int | None, Query(ge=1, le=2**52)] = None,
    action: Word = None,
    target: Word = None,
    since: AwareDatetime | None = None,
) -> AuditList:
    """List who did what, newest first. `action=user` also finds `user.create`."""
    rows, following = await queries.list_entries(
        session, page, user_id=user_id, action=action, target=target, since=since
    )
    return AuditList(items=[replies.entry(row) for row in rows], next_cursor=following)
