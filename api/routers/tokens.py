"""Short-lived scoped tokens for agents."""

from fastapi import APIRouter

from api.auth import Person, issue_token
from api.database import Session
from api.scope import find_project
from contracts.nouns import TokenCreated, TokenRequest

router = APIRouter(tags=["tokens"])


@router.post("/tokens", status_code=201)
async def create_token(body: TokenRequest, session: Session, caller: Person) -> TokenCreated:
    """A token for one project and the listed commands; it is shown this once, and acts for the project's owner."""
    project = await find_project(session, caller, body.project_id)
    token, row = await issue_token(
        session, user_id=project.owner_id, project_id=project.id, commands=body.commands, ttl_s=body.ttl_s
    )
    return TokenCreated(token=token, expires_at=row.expires_at, commands=row.commands)
