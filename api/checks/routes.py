"""What a project has promised: checks that run at every later change. A person may drop one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may
from api.checks import queries, replies
from api.database import Session
from api.paging import PageDep
from api.visibility import Right, find_project
from contracts.base import Identifier
from contracts.planning import KeptCheckDTO, KeptCheckList

router = APIRouter(tags=["checks"])

ProjectId = Annotated[Identifier, Path()]
Name = Annotated[Identifier, Path()]
MayList = Annotated[Caller, Depends(agents_may("project.show"))]


@router.get("/projects/{project_id}/checks")
async def list_checks(
    project_id: ProjectId, session: Session, caller: MayList, page: PageDep, dropped: bool = False
) -> KeptCheckList:
    """The checks that run at every change of the project, oldest first."""
    await find_project(session, caller, project_id)
    return replies.listed(*await queries.page(session, project_id, page, dropped=dropped))


@router.delete("/projects/{project_id}/checks/{name}")
async def drop_check(
    act: Annotated[Act, audited("check.drop")],
    project_id: ProjectId,
    name: Name,
    session: Session,
    caller: Person,
) -> KeptCheckDTO:
    """Run a check no longer: what it promised may be broken by a later change. It stays in the list of dropped ones."""
    await find_project(session, caller, project_id, Right.ACT)
    act.tell(check=name)
    return replies.check(await queries.drop(session, caller, project_id, name))
