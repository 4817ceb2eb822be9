"""Users and their keys in the database."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import hash_secret, new_secret
from api.problems import not_found, permanent
from api.tables import ApiKeyRow, UserRow
from contracts.errors import ErrorCode
from contracts.nouns import UserCreate


async def find(session: AsyncSession, user_id: int) -> UserRow | None:
    return await session.get(UserRow, user_id)


async def get(session: AsyncSession, user_id: int) -> UserRow:
    """The user; NOT_FOUND when there is none."""
    row = await find(session, user_id)
    if row is None:
        raise not_found("user", str(user_id))
    return row


async def list_all(session: AsyncSession) -> list[UserRow]:
    return list(await session.scalars(select(UserRow).order_by(col(UserRow.user_id))))


async def create(session: AsyncSession, body: UserCreate) -> UserRow:
    """A new user without a key; ALREADY_EXISTS when the id is taken."""
    if await find(session, body.user_id) is not None:
        raise permanent(
            ErrorCode.ALREADY_EXISTS,
            f"User {body.user_id} already exists. For another key: POST /users/{body.user_id}/keys.",
        )
    row = UserRow(user_id=body.user_id, role=body.role.value, name=body.name)
    session.add(row)
    await session.flush()
    return row


async def delete_keys(session: AsyncSession, user_id: int) -> None:
    await session.execute(delete(ApiKeyRow).where(col(ApiKeyRow.user_id) == user_id))


def add_key(session: AsyncSession, user_id: int) -> str:
    """Give a user one more key, and return it."""
    key = new_secret("user")
    session.add(ApiKeyRow(key_hash=hash_secret(key), user_id=user_id))
    return key
