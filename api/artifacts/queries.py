"""Where the database refers to artifacts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.tables import ReleaseRow, TaskRow
from api.visibility import allowed, visible_project_ids
from contracts.artifacts import ArtifactRef


async def visible_references(
    session: AsyncSession, caller: Caller, sha256: str, task_id: str | None = None
) -> list[ArtifactRef]:
    """References with this hash in tasks and releases that the caller may see."""
    tasks = select(col(TaskRow.artifacts)).where(
        allowed(caller, col(TaskRow.subject_kind), col(TaskRow.subject_id)),
        col(TaskRow.artifacts).contains([{"sha256": sha256}]),
    )
    logs = select(col(ReleaseRow.log)).where(
        col(ReleaseRow.project_id).in_(visible_project_ids(caller)), col(ReleaseRow.log).contains({"sha256": sha256})
    )
    if task_id is not None:
        tasks = tasks.where(col(TaskRow.id) == task_id)
        logs = logs.where(col(ReleaseRow.task_id) == task_id)
    found = [document for documents in await session.scalars(tasks) for document in documents]
    found += [document for document in await session.scalars(logs) if document is not None]
    return [ArtifactRef.model_validate(document) for document in found if document["sha256"] == sha256]
