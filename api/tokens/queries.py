"""Scoped tokens in the database."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import AGENT_COMMANDS
from api.credentials.queries import make
from api.problems import permanent
from api.tables import ProjectRow
from contracts.errors import ErrorCode
from contracts.nouns import TokenCreated, TokenRequest
from contracts.states import CredentialKind


async def issue(
    session: AsyncSession, project: ProjectRow, request: TokenRequest, made_with: str | None = None
) -> TokenCreated:
    """Make a token that acts for the project's owner; it ends with the credential with which it was made.

    Its value is returned only here. Raises INVALID_INPUT for a command that agents never get.
    """
    unknown = sorted(set(request.commands) - AGENT_COMMANDS)
    if unknown:
        raise permanent(
            ErrorCode.INVALID_INPUT,
            f"Agents cannot be allowed {', '.join(map(ascii, unknown))[:300]}. "
            f"Allowed are: {', '.join(sorted(AGENT_COMMANDS))}.",
        )
    made = await make(
        session,
        CredentialKind.TOKEN,
        project.owner_id,
        ttl=timedelta(seconds=request.ttl_s),
        project_id=project.id,
        commands=sorted(set(request.commands)),
        made_with=made_with,
    )
    assert made.row.expires_at is not None
    return TokenCreated(token=made.secret, expires_at=made.row.expires_at, commands=made.row.commands or [])
