"""Short-lived scoped tokens for agents."""

from typing import Annotated

from fastapi import APIRouter

from api.audit.trail import Act, audited
from api.auth import PersonWithKey
from api.database import Session
from api.tokens import queries
from api.visibility import Right, find_project
from contracts.nouns import TokenCreated, TokenRequest

router = APIRouter(tags=["tokens"])


@router.post("/tokens", status_code=201)
async def create_token(
    act: Annotated[Act, audited("token.create")],
    body: TokenRequest,
    session: Session,
    caller: PersonWithKey,
) -> TokenCreated:
    """A token for one project and the listed commands; it is shown this once, and acts for the project's owner."""
    act.on(body.project_id)
    act.tell(commands=" ".join(body.commands), ttl_s=body.ttl_s)
    project = await find_project(session, caller, body.project_id, Right.OWN)
    return await queries.issue(session, project, body, caller.credential)
