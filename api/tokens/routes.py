"""Short-lived scoped tokens for agents."""

from fastapi import APIRouter

from api.auth import Person
from api.database import Session
from api.tokens import queries
from api.visibility import Right, find_project
from contracts.nouns import TokenCreated, TokenRequest

router = APIRouter(tags=["tokens"])


@router.post("/tokens", status_code=201)
async def create_token(body: TokenRequest, session: Session, caller: Person) -> TokenCreated:
    """A token for one project and the listed commands; it is shown this once, and acts for the project's owner."""
    return await queries.issue(session, await find_project(session, caller, body.project_id, Right.OWN), body)
