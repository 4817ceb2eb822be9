"""Projects in the database."""

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found, permanent
from api.releases.queries import find_active
from api.tables import ProjectRow, TaskRow
from api.visibility import find_project, visible_projects
from contracts import ids
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import ProjectCreate, ProjectUpdate
from contracts.states import ProjectStatus, TaskState


async def get(session: AsyncSession, project_id: str) -> ProjectRow:
    """The project, whoever owns it; NOT_FOUND when there is none."""
    row = await session.get(ProjectRow, project_id)
    if row is None:
        raise not_found("project", project_id)
    return row


async def list_visible(session: AsyncSession, caller: Caller, *, include_archived: bool) -> list[ProjectRow]:
    """Newest first."""
    statement = select(ProjectRow).where(visible_projects(caller)).order_by(col(ProjectRow.created_at).desc())
    if not include_archived:
        statement = statement.where(col(ProjectRow.status) != ProjectStatus.ARCHIVED)
    return list(await session.scalars(statement))


async def create(session: AsyncSession, caller: Caller, body: ProjectCreate) -> ProjectRow:
    """The caller's project with this id and content, and with a repository that no other project has.

    Raises ALREADY_EXISTS when the name is taken, CONFLICT when the id is taken with other content or by another owner.
    """
    row = await _insert(session, caller, body)
    if row is None:
        row = await session.get(ProjectRow, body.id)
        if row is None:
            raise permanent(ErrorCode.ALREADY_EXISTS, f"You have a project named {body.name!r} already.")
        if row.owner_id != caller.user_id or row.create_hash != _fingerprint(body):
            raise permanent(ErrorCode.CONFLICT, f"The id {body.id!r} is taken by another project. Choose a new id.")
    return row


async def update(session: AsyncSession, caller: Caller, project_id: str, body: ProjectUpdate) -> ProjectRow:
    """Change what is given. Raises CONFLICT when a project with running work is to be archived."""
    row = await find_project(session, caller, project_id, lock=True)
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


async def _insert(session: AsyncSession, caller: Caller, body: ProjectCreate) -> ProjectRow | None:
    """The new row, with a repository that is free; None when its id, or its name for this owner, is taken."""
    for repository in ids.repository_names(caller.user_id, body.name, body.id):
        row = await _insert_with(session, caller, body, repository)
        if row is not None:
            return row
    return None


async def _insert_with(
    session: AsyncSession, caller: Caller, body: ProjectCreate, repository: str
) -> ProjectRow | None:
    now = utc_now()
    statement = insert(ProjectRow).values(
        **body.model_dump(mode="json", exclude={"spec"}),
        spec=None if body.spec is None else body.spec.model_dump(mode="json"),
        owner_id=caller.user_id,
        status=ProjectStatus.DRAFT.value,
        repository=repository,
        scaffolded=False,
        create_hash=_fingerprint(body),
        created_at=now,
        updated_at=now,
    )
    return (await session.scalars(statement.on_conflict_do_nothing().returning(ProjectRow))).one_or_none()


def _fingerprint(body: ProjectCreate) -> str:
    # Without defaults: a field that a later version adds does not change what was asked for.
    return hashlib.sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


async def _set_archived(session: AsyncSession, row: ProjectRow, *, archived: bool) -> None:
    if archived == (row.status == ProjectStatus.ARCHIVED):
        return
    if archived:
        if await _has_open_tasks(session, row.id):
            raise permanent(ErrorCode.CONFLICT, "Work on this project is running. Wait for it, or cancel it first.")
        row.status = ProjectStatus.ARCHIVED
        return
    live = await find_active(session, row.id) is not None
    not_live = ProjectStatus.SCAFFOLDED if row.scaffolded else ProjectStatus.DRAFT
    row.status = ProjectStatus.ACTIVE if live else not_live


async def _has_open_tasks(session: AsyncSession, project_id: str) -> bool:
    final = [state.value for state in TaskState if state.is_final]
    statement = select(col(TaskRow.id)).where(col(TaskRow.project_id) == project_id, col(TaskRow.state).not_in(final))
    return (await session.scalars(statement.limit(1))).first() is not None
