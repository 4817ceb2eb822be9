"""Releases of a project."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy import select
from sqlmodel import col

from api import releases, replies
from api.auth import Caller, agents_may
from api.database import Session
from api.problems import not_found
from api.scope import find_project, visible_project_ids
from api.tables import ReleaseRow
from contracts.base import Identifier
from contracts.nouns import DeploymentDTO, DeploymentList

router = APIRouter(tags=["releases"])

ProjectId = Annotated[Identifier, Path()]
ReleaseId = Annotated[Identifier, Path()]
Reads = Annotated[Caller, Depends(agents_may("release.list", "deploy.status"))]


@router.get("/projects/{project_id}/releases")
async def list_releases(project_id: ProjectId, session: Session, caller: Reads) -> DeploymentList:
    """Newest first."""
    await find_project(session, caller, project_id)
    return DeploymentList(items=[replies.release(row) for row in await releases.history(session, project_id)])


@router.get("/releases/{release_id}")
async def show_release(release_id: ReleaseId, session: Session, caller: Reads) -> DeploymentDTO:
    statement = select(ReleaseRow).where(
        col(ReleaseRow.id) == release_id, col(ReleaseRow.project_id).in_(visible_project_ids(caller))
    )
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("release", release_id)
    return replies.release(row)
