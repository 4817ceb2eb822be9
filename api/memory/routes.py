"""What a project remembers: shown to its people, edited by its owner, and told by the platform's own processes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may, platform_only
from api.database import Session
from api.memory import queries, replies
from api.vault import VaultDep
from api.visibility import Right, find_project
from contracts.base import Identifier
from contracts.memory import FailureReport, MemoryEdit, MemoryPublished, MemoryToWrite, ProjectMemory

router = APIRouter(tags=["memory"])
internal = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(platform_only)])

ProjectId = Annotated[Identifier, Path()]
MayShow = Annotated[Caller, Depends(agents_may("project.show"))]


@router.get("/projects/{project_id}/memory")
async def show_memory(project_id: ProjectId, session: Session, caller: MayShow) -> ProjectMemory:
    """Decisions, conventions and earlier failures, as the next task begins with them."""
    await find_project(session, caller, project_id)
    return replies.memory(await queries.find(session, project_id))


@router.put("/projects/{project_id}/memory")
async def edit_memory(
    act: Annotated[Act, audited("memory.edit")],
    project_id: ProjectId,
    body: MemoryEdit,
    session: Session,
    caller: Person,
) -> ProjectMemory:
    """Replace the memory. The platform commits it on the branch of the next task, and main has it with that task."""
    await find_project(session, caller, project_id, Right.OWN)
    act.tell(characters=len(body.text))
    return replies.memory(await queries.edit(session, caller, project_id, body))


@internal.get("/projects/{project_id}/memory")
async def memory_to_write(
    project_id: ProjectId, session: Session, task_id: Annotated[Identifier, Query()]
) -> MemoryToWrite:
    """What a task writes into the repository before it begins."""
    return await queries.offer(session, project_id, task_id)


@internal.post("/projects/{project_id}/memory/failures", status_code=204)
async def report_failure(project_id: ProjectId, body: FailureReport, session: Session, vault: VaultDep) -> None:
    """Remember what went wrong; a repetition changes nothing."""
    await queries.report(session, vault, project_id, body)


@internal.put("/projects/{project_id}/memory/published", status_code=204)
async def memory_published(project_id: ProjectId, body: MemoryPublished, session: Session) -> None:
    """The memory as main has it; a repetition changes nothing."""
    await queries.publish(session, project_id, body)


router.include_router(internal)
