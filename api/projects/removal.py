"""The end of a project: everything that belongs to it is deleted, its name is free, its ids are nobody else's."""

import hashlib

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from api.auth import Caller
from api.problems import permanent
from api.projects.queries import has_open_tasks
from api.releases.queries import find_active
from api.tables import (
    CredentialRow,
    EventRow,
    MembershipRow,
    PortAllocationRow,
    ProjectCheckRow,
    ProjectMemoryRow,
    ProjectRow,
    ProposedChecksRow,
    QuestionRow,
    ReleaseRow,
    SecretRow,
    SettingRow,
    TaskRow,
)
from api.visibility import Right, find_project
from api.worker_tables import ENDED_WORKERS, AgentWorkerEventRow, AgentWorkerRow
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.nouns import ProjectDeletion
from contracts.states import ProjectStatus, SubjectKind


async def preview(session: AsyncSession, caller: Caller, project_id: str) -> ProjectDeletion:
    """What a deletion would do now; for the project's owners."""
    return await _describe(session, await find_project(session, caller, project_id, Right.OWN))


async def remove(
    session: AsyncSession, caller: Caller, project_id: str, confirm: str
) -> tuple[ProjectRow, ProjectDeletion]:
    """Delete the project's rows; its own stays without content, so that its ids are never given again.

    Raises INVALID_INPUT unless `confirm` is its name, CONFLICT with what stands in the way.
    """
    row = await find_project(session, caller, project_id, Right.OWN, lock=True)
    if confirm != row.name:
        raise permanent(
            ErrorCode.INVALID_INPUT,
            f"To delete the project {row.name!r}, send its name as `confirm`. Nothing was deleted.",
        )
    deletion = await _describe(session, row)
    if deletion.blocked_by:
        raise permanent(ErrorCode.CONFLICT, " ".join(deletion.blocked_by))
    for _, table, condition in _belongings(project_id):
        await session.execute(delete(table).where(condition))
    _empty(row)
    await session.flush()
    return row, deletion


async def _describe(session: AsyncSession, row: ProjectRow) -> ProjectDeletion:
    goes = {
        name: await _count(session, table, condition)
        for name, table, condition in _belongings(row.id)
        if name not in {"members", "tokens", "proposals"}
    }
    blocked = []
    if await has_open_tasks(session, row.id):
        blocked.append("Work on this project is running. Wait for it, or cancel it first.")
    if await _count(session, AgentWorkerRow, _works_on(row.id)):
        blocked.append("Agent workers work on this project. End them first: `orchestrator worker list`.")
    if await find_active(session, row.id) is not None:
        blocked.append(f"Its service is on a server. Remove it first: `orchestrator deploy remove {row.id}`.")
    goes["repository"] = int(row.scaffolded)
    stays = ["what its service had stored on its server", "finished workflows, until Temporal forgets them"]
    return ProjectDeletion(project_id=row.id, name=row.name, goes=goes, stays=stays, blocked_by=blocked)


async def _count(session: AsyncSession, table: type[SQLModel], condition: ColumnElement[bool]) -> int:
    return (await session.execute(select(func.count()).select_from(table).where(condition))).scalar_one()


def _belongings(project_id: str) -> list[tuple[str, type[SQLModel], ColumnElement[bool]]]:
    """Everything that belongs to a project, in an order in which it can be deleted."""
    tasks = select(col(TaskRow.id)).where(_is_of(TaskRow, project_id))
    workers = select(col(AgentWorkerRow.id)).where(col(AgentWorkerRow.project_id) == project_id)
    return [
        ("agent worker events", AgentWorkerEventRow, col(AgentWorkerEventRow.worker_id).in_(workers)),
        ("agent workers", AgentWorkerRow, col(AgentWorkerRow.project_id) == project_id),
        ("events", EventRow, col(EventRow.task_id).in_(tasks)),
        ("questions", QuestionRow, _is_of(QuestionRow, project_id)),
        ("tasks", TaskRow, _is_of(TaskRow, project_id)),
        ("checks", ProjectCheckRow, col(ProjectCheckRow.project_id) == project_id),
        ("memory", ProjectMemoryRow, col(ProjectMemoryRow.project_id) == project_id),
        ("proposals", ProposedChecksRow, col(ProposedChecksRow.project_id) == project_id),
        ("releases", ReleaseRow, col(ReleaseRow.project_id) == project_id),
        ("ports", PortAllocationRow, col(PortAllocationRow.project_id) == project_id),
        ("secrets", SecretRow, col(SecretRow.project_id) == project_id),
        ("settings", SettingRow, _is_of(SettingRow, project_id)),
        ("tokens", CredentialRow, col(CredentialRow.project_id) == project_id),
        ("members", MembershipRow, _is_of(MembershipRow, project_id)),
    ]


def _works_on(project_id: str) -> ColumnElement[bool]:
    """A person's own agent worker that has not ended: those of tasks end with them."""
    of_person = (col(AgentWorkerRow.project_id) == project_id) & col(AgentWorkerRow.task_id).is_(None)
    return of_person & col(AgentWorkerRow.state).not_in(ENDED_WORKERS)


def _is_of(
    table: type[TaskRow] | type[QuestionRow] | type[SettingRow] | type[MembershipRow], project_id: str
) -> ColumnElement[bool]:
    return (col(table.subject_kind) == SubjectKind.PROJECT.value) & (col(table.subject_id) == project_id)


def _empty(row: ProjectRow) -> None:
    # No project can have such a name, so the old one is free, and this one never in the way.
    row.name = f"~{hashlib.sha256(row.id.encode()).hexdigest()[:40]}"
    row.title = row.description = ""
    row.spec, row.url, row.modules = None, None, []
    row.status = ProjectStatus.ARCHIVED.value
    row.updated_at = row.deleted_at = utc_now()
