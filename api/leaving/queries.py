"""Removing a person: nothing of theirs is lost or left without an owner."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.credentials.queries import end_all_of, end_tokens_of_project
from api.problems import permanent
from api.projects.queries import archive
from api.tables import MembershipRow, ProjectRow, UserRow, subject_columns
from api.users import queries as users
from contracts.access import UserRemoval
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.states import MemberRole, ProjectStatus, SubjectKind, UserState
from contracts.subjects import Subject

_NAMED = 10


async def remove(session: AsyncSession, user_id: int, body: UserRemoval) -> tuple[UserRow, list[str]]:
    """Remove the person; the ids of the projects that were handed over or archived.

    Raises CONFLICT while it is open what becomes of their projects, when work on one that is to be archived is running,
    when the other person has a project of the same name, and for the only administrator.
    """
    await users.lock_admins(session)
    row = await users.get(session, user_id)
    await users.keep_an_admin(session, row)
    owned = await _owned(session, user_id)
    if body.hand_over_to is not None:
        await _hand_over(session, owned, row, await _heir(session, user_id, body.hand_over_to))
    elif body.archive_projects:
        for project in owned:
            await archive(session, project)
    else:
        _refuse_if_any(owned, user_id)
    await _leave(session, row)
    return row, [project.id for project in owned]


async def _owned(session: AsyncSession, user_id: int) -> list[ProjectRow]:
    """Deleted ones are nobody's: only their ids are left."""
    theirs = (col(ProjectRow.owner_id) == user_id) & col(ProjectRow.deleted_at).is_(None)
    statement = select(ProjectRow).where(theirs).order_by(col(ProjectRow.id))
    return list(await session.scalars(statement.with_for_update()))


def _refuse_if_any(owned: Sequence[ProjectRow], user_id: int) -> None:
    waiting = [project.name for project in owned if project.status != ProjectStatus.ARCHIVED]
    if waiting:
        named = ", ".join(waiting[:_NAMED]) + (f" and {len(waiting) - _NAMED} more" if waiting[_NAMED:] else "")
        raise permanent(
            ErrorCode.CONFLICT,
            f"User {user_id} has projects: {named}. Say what becomes of them: hand them over to another user "
            "(`hand_over_to`), or archive them (`archive_projects`).",
        )


async def _heir(session: AsyncSession, user_id: int, heir_id: int) -> UserRow:
    heir = await users.find_active(session, heir_id)
    if heir is None or heir_id == user_id:
        raise permanent(ErrorCode.INVALID_INPUT, f"User {heir_id} cannot take the projects over. Name another user.")
    return heir


async def _hand_over(session: AsyncSession, owned: Sequence[ProjectRow], former: UserRow, heir: UserRow) -> None:
    taken = set(await session.scalars(select(col(ProjectRow.name)).where(col(ProjectRow.owner_id) == heir.user_id)))
    doubled = sorted(project.name for project in owned if project.name in taken)
    if doubled:
        raise permanent(
            ErrorCode.CONFLICT,
            f"User {heir.user_id} has projects of the same name: {', '.join(doubled[:_NAMED])}. Rename them first.",
        )
    for project in owned:
        project.owner_id, project.updated_at = heir.user_id, utc_now()
        member = subject_columns(Subject.project(project.id)) | {"role": MemberRole.OWNER.value}
        statement = insert(MembershipRow).values(**member, user_id=heir.user_id, created_at=utc_now())
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "subject_kind", "subject_id"], set_={"role": MemberRole.OWNER.value}
            )
        )
        await end_tokens_of_project(session, project.id)


async def _leave(session: AsyncSession, row: UserRow) -> None:
    """End all that they may come in with, and their part in what is not theirs. Their archived projects stay theirs."""
    await end_all_of(session, row.user_id)
    theirs = select(col(ProjectRow.id)).where(col(ProjectRow.owner_id) == row.user_id)
    await session.execute(
        delete(MembershipRow).where(
            col(MembershipRow.user_id) == row.user_id,
            col(MembershipRow.subject_kind) == SubjectKind.PROJECT.value,
            col(MembershipRow.subject_id).not_in(theirs),
        )
    )
    row.state = UserState.REMOVED.value
    await session.flush()
