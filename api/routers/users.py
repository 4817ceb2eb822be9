"""Users and their keys."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import Admin, AnyCaller, Caller, Person, hash_secret, new_secret
from api.database import Session
from api.problems import not_found, permanent
from api.tables import ApiKeyRow, UserRow
from contracts.chat import LanguageChoice
from contracts.errors import ErrorCode
from contracts.nouns import UserCreate, UserCreated, UserList, WhoAmI

router = APIRouter(tags=["users"])


@router.post("/users", status_code=201)
async def create_user(body: UserCreate, session: Session, caller: Admin) -> UserCreated:
    """The key is shown this once."""
    if await session.get(UserRow, body.user_id) is not None:
        raise permanent(
            ErrorCode.ALREADY_EXISTS,
            f"User {body.user_id} exists already. For another key: POST /users/{body.user_id}/keys.",
        )
    row = UserRow(user_id=body.user_id, role=body.role.value, name=body.name)
    session.add(row)
    await session.flush()
    return UserCreated(user=replies.user(row), api_key=add_key(session, row.user_id))


@router.post("/users/{user_id}/keys", status_code=201)
async def replace_key(user_id: Annotated[int, Path(ge=1, le=2**52)], session: Session, caller: Admin) -> UserCreated:
    """A new key; the ones before stop working."""
    row = await session.get(UserRow, user_id)
    if row is None:
        raise not_found("user", str(user_id))
    await session.execute(delete(ApiKeyRow).where(col(ApiKeyRow.user_id) == user_id))
    return UserCreated(user=replies.user(row), api_key=add_key(session, user_id))


@router.get("/users")
async def list_users(session: Session, caller: Admin) -> UserList:
    rows = await session.scalars(select(UserRow).order_by(col(UserRow.user_id)))
    return UserList(items=[replies.user(row) for row in rows])


@router.get("/whoami")
async def whoami(caller: AnyCaller, session: Session) -> WhoAmI:
    """The caller as the platform sees it; for every key and token."""
    return _whoami(caller, await session.get(UserRow, caller.user_id))


@router.put("/whoami/language")
async def choose_language(body: LanguageChoice, caller: Person, session: Session) -> WhoAmI:
    """In which language chats speak to the caller."""
    row = await session.get(UserRow, caller.user_id)
    if row is None:
        raise not_found("user", str(caller.user_id))
    row.language = body.language
    return _whoami(caller, row)


def _whoami(caller: Caller, row: UserRow | None) -> WhoAmI:
    return WhoAmI(
        actor=caller.actor,
        project_id=caller.project_id,
        commands=None if caller.commands is None else sorted(caller.commands),
        language=replies.user(row).language if row is not None else None,
    )


def add_key(session: AsyncSession, user_id: int) -> str:
    """Give a user one more key, and return it."""
    key = new_secret("user")
    session.add(ApiKeyRow(key_hash=hash_secret(key), user_id=user_id))
    return key
