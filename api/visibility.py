"""What a caller may see and do. What belongs to others is answered exactly like something unknown.

Everything follows from the subject that a row belongs to: a membership gives a role in it, and an admin is an owner of
every project, every server and the installation. A chat belongs to its people alone.
"""

from enum import Enum

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, exists, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found, permanent
from api.tables import MembershipRow, ProjectRow
from contracts.errors import ErrorCode
from contracts.states import MemberRole, ProjectStatus, SubjectKind
from contracts.subjects import Subject


class Right(Enum):
    """What a caller wants to do, and the roles that may."""

    SEE = (MemberRole.OWNER, MemberRole.EDITOR, MemberRole.VIEWER)
    ACT = (MemberRole.OWNER, MemberRole.EDITOR)
    OWN = (MemberRole.OWNER,)


def allowed(
    caller: Caller, kind: SQLColumnExpression[str], subject_id: SQLColumnExpression[str], right: Right = Right.SEE
) -> ColumnElement[bool]:
    """The condition that the caller has a right in the subject that these columns name."""
    if caller.platform:
        return true()
    member = exists().where(
        col(MembershipRow.user_id) == caller.user_id,
        col(MembershipRow.subject_kind) == kind,
        col(MembershipRow.subject_id) == subject_id,
        col(MembershipRow.role).in_([role.value for role in right.value]),
    )
    if caller.project_id is not None:
        return member & (kind == SubjectKind.PROJECT.value) & (subject_id == caller.project_id)
    return member | (kind != SubjectKind.CHAT.value) if caller.sees_all else member


def visible_projects(caller: Caller) -> ColumnElement[bool]:
    """The condition on `projects` for what the caller may see."""
    seen = allowed(caller, literal(SubjectKind.PROJECT.value), col(ProjectRow.id))
    return seen & col(ProjectRow.deleted_at).is_(None)


def visible_project_ids(caller: Caller) -> Select[str]:
    """Ids of the projects that the caller may see, as a subquery."""
    return select(col(ProjectRow.id)).where(visible_projects(caller))


async def is_visible(session: AsyncSession, caller: Caller, subject: Subject) -> bool:
    """Whether the caller may see what belongs to the subject."""
    condition = allowed(caller, literal(subject.kind.value), literal(subject.id))
    return bool((await session.execute(select(condition))).scalar_one())


async def require(session: AsyncSession, caller: Caller, subject: Subject, right: Right) -> None:
    """Raises NOT_ALLOWED for a caller who may see the subject, but does not have this right in it."""
    condition = allowed(caller, literal(subject.kind.value), literal(subject.id), right)
    if not (await session.execute(select(condition))).scalar_one():
        role = "an owner" if right is Right.OWN else "an owner or an editor"
        raise permanent(ErrorCode.NOT_ALLOWED, f"Only {role} of the {subject} may do that. Ask its owner.")


async def role_in(session: AsyncSession, caller: Caller, subject: Subject) -> MemberRole | None:
    """The caller's role in the subject by membership; None for an admin who is not a member."""
    row = await session.get(MembershipRow, (caller.user_id, subject.kind.value, subject.id))
    return None if row is None else MemberRole(row.role)


async def find_project(
    session: AsyncSession, caller: Caller, project_id: str, right: Right = Right.SEE, *, lock: bool = False
) -> ProjectRow:
    """The project; NOT_FOUND when there is none for this caller, NOT_ALLOWED when they may only look at it.

    `lock` holds its row until the commit.
    """
    statement = select(ProjectRow).where(col(ProjectRow.id) == project_id, visible_projects(caller))
    if lock:
        statement = statement.with_for_update()
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("project", project_id)
    if right is not Right.SEE:
        await require(session, caller, Subject.project(project_id), right)
    return row


async def find_working_project(session: AsyncSession, caller: Caller, project_id: str) -> ProjectRow:
    """A project on which the caller may start work; CONFLICT when it is archived."""
    row = await find_project(session, caller, project_id, Right.ACT)
    if row.status == ProjectStatus.ARCHIVED:
        raise permanent(
            ErrorCode.CONFLICT,
            f"The project {row.name!r} is archived. To work on it again: `orchestrator project unarchive {row.name}`.",
        )
    return row
