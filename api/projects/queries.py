"""Projects in the database."""

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found, permanent
from api.releases.queries import find_active
from api.tables import MembershipRow, ProjectRow, TaskRow, subject_columns
from api.visibility import Right, find_project, visible_projects
from contracts import ids
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import ProjectCreate, ProjectUpdate
from contracts.states import MemberRole, ProjectStatus, SubjectKind, TaskState
from contracts.subjects import Subject


async def get(session: AsyncSession, project_id: str) -> ProjectRow:
    """The project, regardless of its owner; NOT_FOUND if it does not exist."""
    row = await session.get(ProjectRow, project_id)
    if row is None or row.deleted_at is not None:
        raise not_found("project", project_id)
    return row


async def list_visible(
    session: AsyncSession, caller: Caller, page: PageRequest, *, include_archived: bool
) -> tuple[list[ProjectRow], str | None]:
    """The projects that the caller may see, newest first."""
    statement = select(ProjectRow).where(visible_projects(caller))
    if not include_archived:
        statement = statement.where(col(ProjectRow.status) != ProjectStatus.ARCHIVED)
    return await read_page(session, statement, page, (ProjectRow.created_at, ProjectRow.id))


async def find_named(session: AsyncSession, caller: Caller, name_or_id: str) -> list[ProjectRow]:
    """What the caller means: their own project of this name, else the one with this id, else all others of this name.

    Archived projects count: what they left running can be shown and stopped. Nobody can take a name from its owner by
    choosing it as the id or the name of another project.
    """
    wanted = (col(ProjectRow.name) == name_or_id) | (col(ProjectRow.id) == name_or_id)
    found = list(await session.scalars(select(ProjectRow).where(visible_projects(caller), wanted)))
    own = [row for row in found if row.name == name_or_id and row.owner_id == caller.user_id]
    return own or [row for row in found if row.id == name_or_id] or found


async def create(session: AsyncSession, caller: Caller, body: ProjectCreate) -> ProjectRow:
    """The caller's project with this id and content, with a repository of its own; the caller becomes its owner.

    Raises ALREADY_EXISTS when the name is taken, CONFLICT when the id is taken with other content or by another owner.
    """
    for slug in ids.slugs(body.name, body.id):
        if (created := await _insert(session, caller, body, slug)) is not None:
            whose = subject_columns(Subject.project(created.id))
            session.add(MembershipRow(user_id=caller.user_id, role=MemberRole.OWNER.value, **whose))
            await session.flush()
            return created
        if (known := await session.get(ProjectRow, body.id)) is not None:
            same = known.owner_id == caller.user_id and known.create_hash == _fingerprint(body)
            if not same or known.deleted_at is not None:
                raise permanent(ErrorCode.CONFLICT, f"The id {body.id!r} is taken by another project. Choose a new id.")
            return known
        await _refuse_taken_name(session, caller.user_id, body.name)
    raise permanent(ErrorCode.CONFLICT, f"Every slug for the id {body.id!r} is taken. Choose a new id.")


async def update(session: AsyncSession, caller: Caller, project_id: str, body: ProjectUpdate) -> ProjectRow:
    """Change what is given.

    Raises CONFLICT when a project with running work is to be archived, ALREADY_EXISTS when the name is taken.
    """
    row = await find_project(session, caller, project_id, Right.OWN, lock=True)
    if body.name is not None:
        await _rename(session, row, body.name)
    if body.title is not None:
        row.title = body.title
    if body.description is not None:
        row.description = body.description
    if body.spec is not None:
        row.spec = body.spec.model_dump(mode="json")
    if body.archived is not None:
        await _set_archived(session, row, archived=body.archived)
    row.updated_at = utc_now()
    await session.flush()
    return row


async def archive(session: AsyncSession, row: ProjectRow) -> None:
    """Archive a project; CONFLICT while work on it is running."""
    if row.status == ProjectStatus.ARCHIVED:
        return
    if await has_open_tasks(session, row.id):
        raise permanent(
            ErrorCode.CONFLICT, f"Work on the project {row.name!r} is running. Wait for it, or cancel it first."
        )
    row.status = ProjectStatus.ARCHIVED


async def _insert(session: AsyncSession, caller: Caller, body: ProjectCreate, slug: str) -> ProjectRow | None:
    """The new row, with a repository that is free; None when its id, its slug, or its name for this owner is taken."""
    for repository in ids.repository_names(caller.user_id, body.name, body.id):
        row = await _insert_with(session, caller, body, slug, repository)
        if row is not None:
            return row
    return None


async def _insert_with(
    session: AsyncSession, caller: Caller, body: ProjectCreate, slug: str, repository: str
) -> ProjectRow | None:
    now = utc_now()
    statement = insert(ProjectRow).values(
        **body.model_dump(mode="json", exclude={"spec"}),
        spec=None if body.spec is None else body.spec.model_dump(mode="json"),
        slug=slug,
        owner_id=caller.user_id,
        status=ProjectStatus.DRAFT.value,
        repository=repository,
        scaffolded=False,
        create_hash=_fingerprint(body),
        created_at=now,
        updated_at=now,
    )
    return (await session.scalars(statement.on_conflict_do_nothing().returning(ProjectRow))).one_or_none()


async def _refuse_taken_name(session: AsyncSession, owner_id: int, name: str) -> None:
    taken = select(col(ProjectRow.id)).where(col(ProjectRow.owner_id) == owner_id, col(ProjectRow.name) == name)
    if await session.scalar(taken) is not None:
        raise _name_taken(name)


def _name_taken(name: str) -> OrchestratorError:
    return permanent(ErrorCode.ALREADY_EXISTS, f"You already have a project named {name!r}. Choose another name.")


def _fingerprint(body: ProjectCreate) -> str:
    # Without defaults: a field that a later version adds does not change what was asked for.
    return hashlib.sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


async def _rename(session: AsyncSession, row: ProjectRow, name: str) -> None:
    try:
        async with session.begin_nested():
            row.name = name
    except IntegrityError as error:
        raise _name_taken(name) from error


async def _set_archived(session: AsyncSession, row: ProjectRow, *, archived: bool) -> None:
    if archived == (row.status == ProjectStatus.ARCHIVED):
        return
    if archived:
        await archive(session, row)
        return
    live = await find_active(session, row.id) is not None
    not_live = ProjectStatus.SCAFFOLDED if row.scaffolded else ProjectStatus.DRAFT
    row.status = ProjectStatus.ACTIVE if live else not_live


async def has_open_tasks(session: AsyncSession, project_id: str) -> bool:
    """Whether any work of the project is not final."""
    final = [state.value for state in TaskState if state.is_final]
    statement = select(col(TaskRow.id)).where(
        col(TaskRow.subject_kind) == SubjectKind.PROJECT.value,
        col(TaskRow.subject_id) == project_id,
        col(TaskRow.state).not_in(final),
    )
    return (await session.scalars(statement.limit(1))).first() is not None
