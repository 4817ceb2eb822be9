"""Projects."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.audit.trail import Act, audited
from api.auth import Caller, Person, PersonWithKey, agents_may
from api.database import Session
from api.dependencies import SettingsDep
from api.git.repositories import remove_repository
from api.paging import PageDep
from api.projects import queries, removal, replies
from api.projects.transfer import transfer
from api.questions.queries import list_open
from api.releases.queries import find_active
from api.users.quotas import QuotasDep
from api.visibility import Right, find_project
from contracts.base import Identifier
from contracts.nouns import (
    ProjectCreate,
    ProjectDeletion,
    ProjectDTO,
    ProjectList,
    ProjectResponse,
    ProjectTransfer,
    ProjectUpdate,
)

router = APIRouter(tags=["projects"])

ProjectId = Annotated[Identifier, Path()]
MayShow = Annotated[Caller, Depends(agents_may("project.show", "deploy.status", "engineering.status"))]
MayList = Annotated[Caller, Depends(agents_may("project.list", "project.show"))]


Named = Annotated[str | None, Query(max_length=100, description="Only what the caller means by this name or id.")]


@router.post("/projects", status_code=201)
async def create_project(
    act: Annotated[Act, audited("project.create")],
    body: ProjectCreate,
    session: Session,
    caller: Person,
    settings: SettingsDep,
    quotas: QuotasDep,
) -> ProjectDTO:
    """Create a project. The same id with the same content is the same project; with other content, or another owner's,
    a conflict."""
    act.on(body.id)
    await quotas.check_projects(session, caller.user_id, body.id)
    return replies.project(await queries.create(session, caller, body), settings)


@router.get("/projects")
async def list_projects(
    session: Session,
    caller: MayList,
    page: PageDep,
    settings: SettingsDep,
    include_archived: bool = False,
    named: Named = None,
) -> ProjectList:
    """List the projects that the caller may see, newest first.

    `named` finds one by name or id, archived or not, in one part: the caller's own of this name, else the one with this
    id, else all others of this name.
    """
    if named is not None:
        rows, following = await queries.find_named(session, caller, named), None
    else:
        rows, following = await queries.list_visible(session, caller, page, include_archived=include_archived)
    return ProjectList(items=[replies.project(row, settings) for row in rows], next_cursor=following)


@router.get("/projects/{project_id}")
async def show_project(
    project_id: ProjectId, session: Session, caller: MayShow, settings: SettingsDep
) -> ProjectResponse:
    """The project with its active release and its open questions. An agent reads those only with `question.list`."""
    row = await find_project(session, caller, project_id)
    active_release = await find_active(session, project_id)
    questions = await list_open(session, project_id) if caller.may("question.list") else []
    return replies.whole_project(row, settings, active_release, questions)


@router.patch("/projects/{project_id}")
async def update_project(
    act: Annotated[Act, audited("project.update")],
    project_id: ProjectId,
    body: ProjectUpdate,
    session: Session,
    caller: Person,
    settings: SettingsDep,
    quotas: QuotasDep,
) -> ProjectDTO:
    """Change the given fields; for the project's owners. Archiving a project with running work is a conflict."""
    act.tell(fields=" ".join(sorted(body.model_fields_set)), archived=body.archived)
    if body.archived is False:
        await find_project(session, caller, project_id, Right.OWN)
        await quotas.check_projects(session, caller.user_id, project_id)
    return replies.project(await queries.update(session, caller, project_id, body), settings)


@router.post("/projects/{project_id}/transfer")
async def transfer_project(
    act: Annotated[Act, audited("project.transfer")],
    project_id: ProjectId,
    body: ProjectTransfer,
    session: Session,
    caller: PersonWithKey,
    settings: SettingsDep,
    quotas: QuotasDep,
) -> ProjectDTO:
    """Hand the project over to another person, who becomes its only owner. Running work is a conflict."""
    act.tell(to=str(body.user_id))
    given = await find_project(session, caller, project_id, Right.OWN)
    await quotas.check_one_more_project(session, body.user_id, given)
    return replies.project(await transfer(session, caller, project_id, body.user_id), settings)


@router.get("/projects/{project_id}/deletion")
async def preview_deletion(project_id: ProjectId, session: Session, caller: Person) -> ProjectDeletion:
    """What a deletion would take away, what it would leave, and what stands in its way. Nothing changes."""
    return await removal.preview(session, caller, project_id)


@router.delete("/projects/{project_id}")
async def delete_project(
    act: Annotated[Act, audited("project.delete")],
    project_id: ProjectId,
    session: Session,
    caller: PersonWithKey,
    settings: SettingsDep,
    confirm: Annotated[str, Query(max_length=100, description="The project's name.")] = "",
) -> ProjectDeletion:
    """Delete the project with everything that belongs to it, for good; its name is free again.

    What is online, and running work, is a conflict.
    """
    row, deletion = await removal.remove(session, caller, project_id, confirm)
    # First the rows: without its repository, a project that is still there would be broken.
    await session.commit()
    if await remove_repository(settings, row.repository):
        return deletion
    left = f"the repository {row.repository}, whose files could not be removed"
    return deletion.model_copy(update={"stays": [*deletion.stays, left]})
