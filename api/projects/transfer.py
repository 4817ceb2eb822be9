"""Hands a project over to another person."""

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.credentials.queries import end_tokens_of_project
from api.problems import permanent
from api.projects.queries import has_open_tasks
from api.tables import MembershipRow, ProjectRow
from api.users import queries as users
from api.visibility import Right, find_project
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.states import MemberRole, SubjectKind


async def transfer(session: AsyncSession, caller: Caller, project_id: str, user_id: int) -> ProjectRow:
    """Make `user_id` the owner. The former owner and agents' tokens lose their rights; a repetition changes nothing.

    Raises NOT_FOUND for an unknown person, CONFLICT while work runs (its questions are for the owner that it began
    with), ALREADY_EXISTS when the person has a project of this name.
    """
    row = await find_project(session, caller, project_id, Right.OWN, lock=True)
    if row.owner_id == user_id:
        return row
    if await users.find_active(session, user_id) is None:
        raise permanent(ErrorCode.NOT_FOUND, f"There is no user {user_id}. An admin can add them.")
    if await has_open_tasks(session, row.id):
        raise permanent(ErrorCode.CONFLICT, "Work on this project is running. Wait for it, or cancel it first.")
    await _give(session, row, user_id)
    await _change_members(session, row.id, user_id)
    await end_tokens_of_project(session, row.id)
    await session.flush()
    return row


async def _give(session: AsyncSession, row: ProjectRow, user_id: int) -> None:
    name = row.name
    try:
        async with session.begin_nested():
            row.owner_id, row.updated_at = user_id, utc_now()
    except IntegrityError as error:
        reason = f"User {user_id} already has a project named {name!r}. Rename one of the two first."
        raise permanent(ErrorCode.ALREADY_EXISTS, reason) from error


async def _change_members(session: AsyncSession, project_id: str, user_id: int) -> None:
    of_project = (col(MembershipRow.subject_kind) == SubjectKind.PROJECT.value) & (
        col(MembershipRow.subject_id) == project_id
    )
    goes = (col(MembershipRow.role) == MemberRole.OWNER.value) | (col(MembershipRow.user_id) == user_id)
    await session.execute(delete(MembershipRow).where(of_project, goes))
    kind = SubjectKind.PROJECT.value
    session.add(MembershipRow(user_id=user_id, subject_kind=kind, subject_id=project_id, role=MemberRole.OWNER.value))
