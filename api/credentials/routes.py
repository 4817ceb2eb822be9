"""What people, agents and browsers come in with: listed and ended. Each is made where it belongs."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.audit.trail import Act, audited
from api.auth import PersonWithKey
from api.credentials import queries, replies
from api.database import Session
from api.paging import PageDep
from contracts.access import CredentialDTO, CredentialList
from contracts.base import Identifier
from contracts.states import CredentialKind

router = APIRouter(tags=["users"])

Ends = Annotated[Act, audited("credential.end")]


@router.get("/credentials")
async def list_credentials(
    session: Session,
    caller: PersonWithKey,
    page: PageDep,
    user_id: Annotated[int | None, Query(ge=1, le=2**52)] = None,
    kind: CredentialKind | None = None,
    include_ended: bool = False,
) -> CredentialList:
    """List keys, agents' tokens, links and sessions, newest first: one's own; an admin sees everybody's."""
    rows, following = await queries.list_visible(
        session, caller, page, user_id=user_id, kind=kind, include_ended=include_ended
    )
    return CredentialList(items=[replies.credential(row) for row in rows], next_cursor=following)


@router.delete("/credentials/{credential_id}")
async def end_credential(
    act: Ends,
    credential_id: Annotated[Identifier, Path()],
    session: Session,
    caller: PersonWithKey,
) -> CredentialDTO:
    """End a credential and all that was made with it, at once and for good; a repetition changes nothing."""
    row = await queries.end_one(session, caller, credential_id)
    act.tell(kind=row.kind, user_id=row.user_id)
    return replies.credential(row)
