"""Text artifacts, for those who may see a task or release that refers to them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller, agents_may
from api.database import Session
from api.problems import not_found
from api.scope import visible_project_ids
from api.state import Platform, ThePlatform
from api.tables import ReleaseRow, TaskRow
from contracts.artifacts import ArtifactRef
from contracts.base import Identifier
from contracts.nouns import ArtifactContent

router = APIRouter(tags=["artifacts"])

MAX_SLICE = 65_536

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Offset = Annotated[int, Query(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=4, le=MAX_SLICE)]
Reads = Annotated[Caller, Depends(agents_may("artifact.show", "task.logs"))]


@router.get("/artifacts/{sha256}/{name}")
async def read_artifact(
    sha256: Sha256,
    name: Name,
    session: Session,
    caller: Reads,
    platform: ThePlatform,
    offset: Offset = 0,
    limit: Limit = MAX_SLICE,
) -> ArtifactContent:
    """A slice of a text; offsets and the limit are in bytes."""
    refs = await _visible(session, caller, sha256)
    wanted = next((ref for ref in refs if ref.uri == f"artifact://{sha256}/{name}"), None)
    if wanted is None:
        raise not_found("artifact", f"{sha256}/{name}")
    return await _slice(platform, wanted, offset, limit)


@router.get("/tasks/{task_id}/artifacts/{sha256}")
async def read_task_artifact(
    task_id: Annotated[Identifier, Path()],
    sha256: Sha256,
    session: Session,
    caller: Reads,
    platform: ThePlatform,
    offset: Offset = 0,
    limit: Limit = MAX_SLICE,
) -> ArtifactContent:
    """The same for an artifact of one task, without its name."""
    refs = await _visible(session, caller, sha256, task_id)
    if not refs:
        raise not_found("artifact", sha256)
    return await _slice(platform, refs[0], offset, limit)


async def _visible(session: AsyncSession, caller: Caller, sha256: str, task_id: str | None = None) -> list[ArtifactRef]:
    """References with this hash in tasks and releases that the caller may see."""
    projects = visible_project_ids(caller)
    tasks = select(col(TaskRow.artifacts)).where(
        col(TaskRow.project_id).in_(projects), col(TaskRow.artifacts).contains([{"sha256": sha256}])
    )
    logs = select(col(ReleaseRow.log)).where(
        col(ReleaseRow.project_id).in_(projects), col(ReleaseRow.log).contains({"sha256": sha256})
    )
    if task_id is not None:
        tasks = tasks.where(col(TaskRow.id) == task_id)
        logs = logs.where(col(ReleaseRow.task_id) == task_id)
    found = [document for documents in await session.scalars(tasks) for document in documents]
    found += [document for document in await session.scalars(logs) if document is not None]
    return [ArtifactRef.model_validate(document) for document in found if document["sha256"] == sha256]


async def _slice(platform: Platform, ref: ArtifactRef, offset: int, limit: int) -> ArtifactContent:
    content = await platform.artifacts.read(ref, offset, limit + 1)
    more = len(content) > limit
    piece = _whole_characters(content[:limit]) if more else content
    return ArtifactContent(
        ref=ref, text=piece.decode(errors="replace"), next_offset=offset + len(piece) if more else None
    )


def _whole_characters(piece: bytes) -> bytes:
    """`piece` without the beginning of a character that the limit has cut; at most three bytes are left out."""
    for cut in range(1, 4):
        lead = piece[-cut]
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return piece[:-cut] if length > cut else piece
        if lead < 0x80:
            return piece
    return piece
