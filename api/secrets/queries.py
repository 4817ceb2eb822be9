"""A project's secrets in the database; `api.vault` has their values."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.model_tables import PlatformSecretRow
from api.problems import not_found, permanent
from api.tables import SecretRow
from contracts.base import utc_now
from contracts.errors import ErrorCode


async def list_of_project(session: AsyncSession, project_id: str) -> list[SecretRow]:
    """A project's secrets, sorted by name."""
    statement = select(SecretRow).where(col(SecretRow.project_id) == project_id).order_by(col(SecretRow.name))
    return list(await session.scalars(statement))


async def list_of_platform(session: AsyncSession) -> list[PlatformSecretRow]:
    """The installation's secrets, sorted by name."""
    return list(await session.scalars(select(PlatformSecretRow).order_by(col(PlatformSecretRow.name))))


async def delete_of_platform(session: AsyncSession, name: str) -> bool:
    """Whether there was one."""
    row = await session.get(PlatformSecretRow, name)
    if row is not None:
        await session.delete(row)
    return row is not None


async def mark_shown(session: AsyncSession, project_id: str, name: str) -> None:
    """Note that the owner sees a generated value now; of two at the same time one is refused.

    Raises NOT_FOUND without a value, NOT_ALLOWED for what a person stored, CONFLICT for the second time.
    """
    row = await session.get(SecretRow, (project_id, name), with_for_update=True, populate_existing=True)
    if row is None:
        raise not_found("secret", name)
    if row.source != "generated":
        raise permanent(ErrorCode.NOT_ALLOWED, f"{name} was stored by a person, and such values are never shown.")
    if row.shown_at is not None:
        raise permanent(
            ErrorCode.CONFLICT,
            f"{name} was shown on {row.shown_at:%Y-%m-%d %H:%M} UTC, and is not shown again. To have one that you "
            f"know: `orchestrator secret set {project_id} {name}`, then `orchestrator deploy start {project_id}`.",
        )
    row.shown_at = utc_now()
