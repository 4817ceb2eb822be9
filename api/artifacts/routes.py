"""Text artifacts, for those who may see a task or release that refers to them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.artifacts.queries import visible_references
from api.artifacts.slices import ArtifactsDep, read_slice
from api.auth import Caller, agents_may
from api.database import Session
from api.problems import not_found
from contracts.base import Identifier
from contracts.nouns import ArtifactContent

router = APIRouter(tags=["artifacts"])

MAX_SLICE = 65_536
MAX_PICTURE = 10 * 1024 * 1024
PICTURE = "image/png"
"""The only kind: what else a service might call a picture can hold scripts."""

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Offset = Annotated[int, Query(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=4, le=MAX_SLICE)]
MayRead = Annotated[Caller, Depends(agents_may("artifact.show", "task.logs"))]


@router.get("/artifacts/{sha256}/{name}")
async def read_artifact(
    sha256: Sha256,
    name: Name,
    session: Session,
    caller: MayRead,
    artifacts: ArtifactsDep,
    offset: Offset = 0,
    limit: Limit = MAX_SLICE,
) -> ArtifactContent:
    """A slice of a text; offsets and the limit are in bytes."""
    refs = await visible_references(session, caller, sha256)
    wanted = next((ref for ref in refs if ref.uri == f"artifact://{sha256}/{name}"), None)
    if wanted is None:
        raise not_found("artifact", f"{sha256}/{name}")
    return await read_slice(artifacts, wanted, offset, limit)


@router.get("/pictures/{sha256}/{name}", response_class=Response)
async def read_picture(
    sha256: Sha256, name: Name, session: Session, caller: MayRead, artifacts: ArtifactsDep
) -> Response:
    """A picture of a page, whole."""
    refs = await visible_references(session, caller, sha256)
    wanted = next((ref for ref in refs if ref.uri == f"artifact://{sha256}/{name}"), None)
    if wanted is None or wanted.media_type != PICTURE or wanted.size_bytes > MAX_PICTURE:
        raise not_found("picture", f"{sha256}/{name}")
    return Response(await artifacts.read(wanted), media_type=PICTURE)


@router.get("/tasks/{task_id}/artifacts/{sha256}")
async def read_task_artifact(
    task_id: Annotated[Identifier, Path()],
    sha256: Sha256,
    session: Session,
    caller: MayRead,
    artifacts: ArtifactsDep,
    offset: Offset = 0,
    limit: Limit = MAX_SLICE,
) -> ArtifactContent:
    """A slice of an artifact of one task, found by its hash alone."""
    refs = await visible_references(session, caller, sha256, task_id)
    if not refs:
        raise not_found("artifact", sha256)
    return await read_slice(artifacts, refs[0], offset, limit)
