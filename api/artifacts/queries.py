"""Where the database refers to artifacts."""

from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.settings.queries import effective
from api.tables import ReleaseRow, TaskRow
from api.visibility import allowed, visible_project_ids
from contracts.artifacts import ArtifactRef
from contracts.nouns import ArtifactFates
from contracts.project_settings import ProjectSettings
from contracts.states import TaskState

_REFERENCES = text(
    "SELECT a->>'sha256' AS sha256, t.subject_id AS owner, t.state AS state, t.updated_at AS at"
    " FROM tasks t, jsonb_array_elements(t.artifacts) AS a WHERE a->>'sha256' = ANY(CAST(:hashes AS text[]))"
    " UNION ALL SELECT r.log->>'sha256', r.project_id, NULL, r.updated_at"
    " FROM releases r WHERE r.log->>'sha256' = ANY(CAST(:hashes AS text[]))"
    " UNION ALL SELECT a->>'sha256', coalesce(w.project_id, w.id), NULL, w.updated_at"
    " FROM agent_workers w, jsonb_array_elements(w.transcripts) AS a"
    " WHERE a->>'sha256' = ANY(CAST(:hashes AS text[]))"
)
"""Who refers to each; releases and agent workers have no state here. One pass over the tables for a thousand hashes."""


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


async def fates(session: AsyncSession, hashes: list[str], defaults: ProjectSettings, now: datetime) -> ArtifactFates:
    """What may go by the `retention_days` of the projects. Whatever work that has not ended refers to is kept."""
    limits: dict[str, int | None] = {}
    kept, seen = set(), set()
    for sha256, owner, state, at in await session.execute(_REFERENCES, {"hashes": hashes}):
        seen.add(sha256)
        if owner not in limits:
            limits[owner] = (await effective(session, owner, defaults)).retention_days
        limit, is_open = limits[owner], state is not None and not TaskState(state).is_final
        if is_open or limit is None or at > now - timedelta(days=limit):
            kept.add(sha256)
    return ArtifactFates(kept=sorted(kept), expired=sorted(seen - kept))
