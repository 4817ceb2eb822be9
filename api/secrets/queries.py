"""A project's secrets in the database; `api.vault` has their values."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.tables import SecretRow


async def list_of_project(session: AsyncSession, project_id: str) -> list[SecretRow]:
    """A project's secrets, sorted by name."""
    statement = select(SecretRow).where(col(SecretRow.project_id) == project_id).order_by(col(SecretRow.name))
    return list(await session.scalars(statement))
