"""People who leave, and what becomes of what is theirs."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.audit.trail import Act, audited
from api.auth import Admin
from api.database import Session
from api.leaving import queries
from api.users import replies
from contracts.access import UserRemoval, UserRemoved

router = APIRouter(tags=["users"])


@router.post("/users/{user_id}/remove")
async def remove_user(
    act: Annotated[Act, audited("user.remove")],
    user_id: Annotated[int, Path(ge=1, le=2**52)],
    body: UserRemoval,
    session: Session,
    caller: Admin,
) -> UserRemoved:
    """Remove a person, and hand over or archive their projects. What runs goes on; their name stays in records."""
    act.tell(hand_over_to=body.hand_over_to, archive_projects=body.archive_projects)
    row, projects = await queries.remove(session, user_id, body)
    return UserRemoved(user=replies.user(row), projects=projects)
