"""Projects."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.problems import permanent
from api.scope import find_project, visible_projects
from api.tables import ProjectRow, QuestionRow, ReleaseRow, TaskRow
from contracts.base import Identifier, utc_now
from contracts.errors import ErrorCode
from contracts.nouns import ProjectCreate, ProjectDTO, ProjectList, ProjectResponse, ProjectUpdate
from contracts.states import ProjectStatus, QuestionState, ReleaseState, TaskState

router = APIRouter(tags=["projects"])

ProjectId = Annotated[Identifier, Path()]
Shows = Annotated[Caller, Depends(agents_may("project.show", "deploy.status", "engineering.status"))]
Lists = Annotated[Caller, Depends(agents_may("project.list", "project.show"))]


@router.post("/projects", status_code=201)
async def create_project(body: ProjectCreate, session: Session, caller: Person) -> ProjectDTO:
    """The same id with the same content is the same project; with another content, or another owner's, a conflict."""
    row = await _inserted(session, body, caller)
    if row is None:
        row = await session.get(ProjectRow, body.id)
        if row is None:
            raise permanent(ErrorCode.ALREADY_EXISTS, f"You have a project named {body.name!r} already.")
        if row.owner_id != caller.user_id or row.create_hash != _fingerprint(body):
            raise permanent(ErrorCode.CONFLICT, f"The id {body.id!r} is taken by another project. Choose a new id.")
    return replies.project(row)


@router.get("/projects")
async def list_projects(session: Session, caller: Lists, include_archived: bool = False) -> ProjectList:
    """Newest first."""
    statement = select(ProjectRow).where(visible_projects(caller)).order_by(col(ProjectRow.created_at).desc())
    if not include_archived:
        statement = statement.where(col(ProjectRow.status) != ProjectStatus.ARCHIVED)
    return ProjectList(items=[replies.project(row) for row in await session.scalars(statement)])


@router.get("/projects/{project_id}")
async def show_project(project_id: ProjectId, session: Session, caller: Shows) -> ProjectResponse:
    """The project with its active release and its open questions."""
    row = await find_project(session, caller, project_id)
    release = await active_release(session, project_id)
    questions = await session.scalars(
        select(QuestionRow)
        .where(col(QuestionRow.project_id) == project_id, col(QuestionRow.state) == QuestionState.OPEN)
        .order_by(col(QuestionRow.created_at))
    )
    return ProjectResponse(
        project=replies.project(row),
        active_release=None if release is None else replies.release(release),
        open_questions=[replies.question(question) for question in questions],
    )


@router.patch("/projects/{project_id}")
async def update_project(project_id: ProjectId, body: ProjectUpdate, session: Session, caller: Person) -> ProjectDTO:
    """Change what is given. Archiving a project with running work is a conflict."""
    row = await find_project(session, caller, project_id, lock=True)
    if body.title is not None:
        row.title = body.title
    if body.description is not None:
        row.description = body.description
    if body.spec is not None:
        row.spec = body.spec.model_dump(mode="json")
    if body.archived is not None:
        await _archive(session, row, archived=body.archived)
    row.updated_at = utc_now()
    await session.flush()
    return replies.project(row)


async def active_release(session: AsyncSession, project_id: str) -> ReleaseRow | None:
    """What a project has live."""
    statement = select(ReleaseRow).where(
        col(ReleaseRow.project_id) == project_id, col(ReleaseRow.state) == ReleaseState.ACTIVE
    )
    return (await session.scalars(statement)).one_or_none()


async def _inserted(session: AsyncSession, body: ProjectCreate, caller: Caller) -> ProjectRow | None:
    """The new row; None when its id, or its name for this owner, is taken."""
    now = utc_now()
    statement = insert(ProjectRow).values(
        **body.model_dump(mode="json", exclude={"spec"}),
        spec=None if body.spec is None else body.spec.model_dump(mode="json"),
        owner_id=caller.user_id,
        status=ProjectStatus.DRAFT.value,
        create_hash=_fingerprint(body),
        created_at=now,
        updated_at=now,
    )
    return (await session.scalars(statement.on_conflict_do_nothing().returning(ProjectRow))).one_or_none()


def _fingerprint(body: ProjectCreate) -> str:
    # Without defaults: a field that a later version adds does not change what was asked for.
    return hashlib.sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


async def _archive(session: AsyncSession, row: ProjectRow, *, archived: bool) -> None:
    if archived == (row.status == ProjectStatus.ARCHIVED):
        return
    if archived:
        if await _has_open_tasks(session, row.id):
            raise permanent(ErrorCode.CONFLICT, "Work on this project is running. Wait for it, or cancel it first.")
        row.status = ProjectStatus.ARCHIVED
        return
    live = await active_release(session, row.id) is not None
    proven = ProjectStatus.SCAFFOLDED if row.repository else ProjectStatus.DRAFT
    row.status = ProjectStatus.ACTIVE if live else proven


async def _has_open_tasks(session: AsyncSession, project_id: str) -> bool:
    final = [state.value for state in TaskState if state.is_final]
    statement = select(col(TaskRow.id)).where(col(TaskRow.project_id) == project_id, col(TaskRow.state).not_in(final))
    return (await session.scalars(statement.limit(1))).first() is not None
