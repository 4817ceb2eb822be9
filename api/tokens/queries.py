"""Scoped tokens in the database."""

from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import AGENT_COMMANDS, hash_secret, new_secret
from api.problems import permanent
from api.tables import AgentTokenRow, ProjectRow
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import TokenCreated, TokenRequest


async def issue(session: AsyncSession, project: ProjectRow, request: TokenRequest) -> TokenCreated:
    """Make a token that acts for the project's owner, and delete the expired ones. Its value is returned only here.

    Raises INVALID_INPUT for a command that agents never get.
    """
    unknown = sorted(set(request.commands) - AGENT_COMMANDS)
    if unknown:
        raise permanent(
            ErrorCode.INVALID_INPUT,
            f"Agents cannot be allowed {', '.join(map(ascii, unknown))[:300]}. "
            f"Allowed are: {', '.join(sorted(AGENT_COMMANDS))}.",
        )
    await delete_expired(session)
    token = new_secret("agent")
    row = AgentTokenRow(
        token_hash=hash_secret(token),
        user_id=project.owner_id,
        project_id=project.id,
        commands=sorted(set(request.commands)),
        expires_at=utc_now() + timedelta(seconds=request.ttl_s),
    )
    session.add(row)
    return TokenCreated(token=token, expires_at=row.expires_at, commands=row.commands)


async def delete_expired(session: AsyncSession) -> int:
    """Delete the tokens whose time is over; returns how many."""
    statement = delete(AgentTokenRow).where(col(AgentTokenRow.expires_at) < utc_now())
    return len(list(await session.scalars(statement.returning(col(AgentTokenRow.token_hash)))))
