"""Releases of a project."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.auth import Caller, agents_may
from api.database import Session
from api.paging import PageDep
from api.releases import queries, replies
from api.visibility import find_project
from contracts.base import Identifier
from contracts.nouns import DeploymentDTO, DeploymentList

router = APIRouter(tags=["releases"])

ProjectId = Annotated[Identifier, Path()]
ReleaseId = Annotated[Identifier, Path()]
MayRead = Annotated[Caller, Depends(agents_may("release.list", "deploy.status"))]


@router.get("/projects/{project_id}/releases")
async def list_releases(project_id: ProjectId, session: Session, caller: MayRead, page: PageDep) -> DeploymentList:
    """List a project's releases, newest first."""
    await find_project(session, caller, project_id)
    rows, following = await queries.list_part(session, project_id, page)
    return DeploymentList(items=[replies.release(row) for row in rows], next_cursor=following)


@router.get("/releases/{release_id}")
async def show_release(release_id: ReleaseId, session: Session, caller: MayRead) -> DeploymentDTO:
    return replies.release(await queries.find(session, caller, release_id))
