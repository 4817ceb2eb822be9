"""People in the database. Nobody can be made the last administrator who leaves."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.credentials import queries as credentials
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.tables import UserRow
from contracts.access import UserUpdate
from contracts.errors import ErrorCode
from contracts.nouns import UserCreate
from contracts.states import CredentialKind, Role, UserState

_SHORT_LIVED = (CredentialKind.TOKEN, CredentialKind.TICKET, CredentialKind.SESSION)
_ADMINS = "administrators"


async def find(session: AsyncSession, user_id: int) -> UserRow | None:
    return await session.get(UserRow, user_id)


async def find_active(session: AsyncSession, user_id: int) -> UserRow | None:
    """The person; None for one who may not come in."""
    row = await find(session, user_id)
    return row if row is not None and row.state == UserState.ACTIVE else None


async def get(session: AsyncSession, user_id: int) -> UserRow:
    """The person, also a blocked one; NOT_FOUND when there is none, or they were removed."""
    row = await find(session, user_id)
    if row is None or row.state == UserState.REMOVED:
        raise not_found("user", str(user_id))
    return row


async def list_all(session: AsyncSession, page: PageRequest) -> tuple[list[UserRow], str | None]:
    """Everybody who was not removed, by id."""
    statement = select(UserRow).where(col(UserRow.state) != UserState.REMOVED.value)
    return await read_page(session, statement, page, (UserRow.user_id,), descending=False)


async def create(session: AsyncSession, body: UserCreate) -> UserRow:
    """A new person without a key; one who was removed is taken in again. ALREADY_EXISTS when the id is taken."""
    row = await find(session, body.user_id)
    if row is not None and row.state != UserState.REMOVED:
        raise permanent(
            ErrorCode.ALREADY_EXISTS,
            f"User {body.user_id} already exists. For another key: POST /users/{body.user_id}/keys.",
        )
    row = row or UserRow(user_id=body.user_id, role=body.role.value, name=body.name)
    row.role, row.name, row.state = body.role.value, body.name, UserState.ACTIVE.value
    session.add(row)
    await session.flush()
    return row


async def update(session: AsyncSession, user_id: int, body: UserUpdate) -> UserRow:
    """Change what is given. Raises CONFLICT when no administrator would be left."""
    await lock_admins(session)
    row = await get(session, user_id)
    role, state = body.role or Role(row.role), body.state or UserState(row.state)
    if role is not Role.ADMIN or state is not UserState.ACTIVE:
        await keep_an_admin(session, row)
    if role is not Role.ADMIN and row.role == Role.ADMIN:
        # What they read as an administrator, in the Web UI and through agents in projects of others.
        await credentials.end_all_of(session, user_id, (CredentialKind.TICKET, CredentialKind.SESSION))
        await credentials.end_made_for_others(session, user_id)
    if state is UserState.BLOCKED:
        await credentials.end_all_of(session, user_id, _SHORT_LIVED)
    row.role, row.state = role.value, state.value
    row.name = row.name if body.name is None else body.name
    await session.flush()
    return row


async def lock_admins(session: AsyncSession) -> None:
    """Until the commit: two administrators who remove each other at once must not both succeed."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(_ADMINS))))


async def keep_an_admin(session: AsyncSession, leaving: UserRow) -> None:
    """Raises CONFLICT when this is the only administrator who can come in."""
    others = select(func.count()).where(
        col(UserRow.role) == Role.ADMIN.value,
        col(UserRow.state) == UserState.ACTIVE.value,
        col(UserRow.user_id) != leaving.user_id,
    )
    is_admin = leaving.role == Role.ADMIN and leaving.state == UserState.ACTIVE
    if is_admin and not await session.scalar(others):
        raise permanent(
            ErrorCode.CONFLICT,
            f"User {leaving.user_id} is the only administrator. Make another one first: orchestrator user role.",
        )
