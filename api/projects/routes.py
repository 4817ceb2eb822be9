"""Projects."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.paging import PageDep
from api.projects import queries, replies
from api.questions.queries import list_open
from api.releases.queries import find_active
from api.users.quotas import QuotasDep
from api.visibility import Right, find_project
from contracts.base import Identifier
from contracts.nouns import ProjectCreate, ProjectDTO, ProjectList, ProjectResponse, ProjectUpdate

router = APIRouter(tags=["projects"])

ProjectId = Annotated[Identifier, Path()]
MayShow = Annotated[Caller, Depends(agents_may("project.show", "deploy.status", "engineering.status"))]
MayList = Annotated[Caller, Depends(agents_may("project.list", "project.show"))]


@router.post("/projects", status_code=201)
async def create_project(
    act: Annotated[Act, audited("project.create")],
    body: ProjectCreate,
    session: Session,
    caller: Person,
    quotas: QuotasDep,
) -> ProjectDTO:
    """Create a project. The same id with the same content is the same project; with other content, or another owner's,
    a conflict."""
    act.on(body.id)
    await quotas.check_projects(session, caller.user_id, body.id)
    return replies.project(await queries.create(session, caller, body))


@router.get("/projects")
async def list_projects(
    session: Session, caller: MayList, page: PageDep, include_archived: bool = False
) -> ProjectList:
    """List the projects that the caller may see, newest first."""
    rows, following = await queries.list_visible(session, caller, page, include_archived=include_archived)
    return ProjectList(items=[replies.project(row) for row in rows], next_cursor=following)


@router.get("/projects/{project_id}")
async def show_project(project_id: ProjectId, session: Session, caller: MayShow) -> ProjectResponse:
    """The project with its active release and its open questions. An agent reads those only with `question.list`."""
    row = await find_project(session, caller, project_id)
    active_release = await find_active(session, project_id)
    questions = await list_open(session, project_id) if caller.may("question.list") else []
    return replies.whole_project(row, active_release, questions)


@router.patch("/projects/{project_id}")
async def update_project(
    act: Annotated[Act, audited("project.update")],
    project_id: ProjectId,
    body: ProjectUpdate,
    session: Session,
    caller: Person,
    quotas: QuotasDep,
) -> ProjectDTO:
    """Change the given fields; for the project's owners. Archiving a project with running work is a conflict."""
    act.tell(fields=" ".join(sorted(body.model_fields_set)), archived=body.archived)
    if body.archived is False:
        await find_project(session, caller, project_id, Right.OWN)
        await quotas.check_projects(session, caller.user_id, project_id)
    return replies.project(await queries.update(session, caller, project_id, body))
