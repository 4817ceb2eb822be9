"""A task between its start and its first projection: only Temporal knows it then."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found
from api.scope import visible_projects
from api.state import Platform
from api.tables import ProjectRow
from contracts import ids
from contracts.base import utc_now
from contracts.nouns import TaskDTO
from contracts.states import TaskKind, TaskState
from runtime.gateway import WorkflowDescription

_MAX_PROJECTS = 20
"""A start is seconds old here, and starting work touches a project: the ones used last are enough."""

_KINDS = {"dlv-": TaskKind.DELIVERY, "eng-": TaskKind.ENGINEERING, "dep-": TaskKind.DEPLOY}
_STATES = {
    "running": TaskState.RUNNING,
    "continued_as_new": TaskState.RUNNING,
    "completed": TaskState.COMPLETED,
    "canceled": TaskState.CANCELLED,
    "cancelled": TaskState.CANCELLED,
}


async def find_starting(session: AsyncSession, platform: Platform, caller: Caller, task_id: str) -> TaskDTO:
    """The task as Temporal describes it; NOT_FOUND when Temporal knows no such workflow of the caller's.

    A workflow that does not say whose it is, is nobody's. Raises TEMPORAL_UNREACHABLE while nobody can tell.
    """
    kind = _KINDS.get(task_id[:4])
    if kind is None:
        raise not_found("task", task_id)
    projects = {project.id: project for project in await _recent_projects(session, caller)}
    # The set has one member for engineering, whose workflow id does not depend on the project.
    for workflow_id in dict.fromkeys(_workflow_id(kind, project_id, task_id) for project_id in projects):
        described = await (await platform.gateway.get()).describe(workflow_id)
        if described is not None and described.task_id == task_id and described.project_id in projects:
            return _task(platform, described, projects[described.project_id], kind, task_id)
    raise not_found("task", task_id)


async def _recent_projects(session: AsyncSession, caller: Caller) -> list[ProjectRow]:
    statement = select(ProjectRow).where(visible_projects(caller))
    rows = await session.scalars(statement.order_by(col(ProjectRow.updated_at).desc()).limit(_MAX_PROJECTS))
    return list(rows)


def _workflow_id(kind: TaskKind, project_id: str, task_id: str) -> str:
    match kind:
        case TaskKind.DELIVERY:
            return ids.delivery_workflow_id(project_id, task_id)
        case TaskKind.ENGINEERING:
            return ids.engineering_workflow_id(task_id)
        case TaskKind.DEPLOY:
            return ids.deploy_workflow_id(project_id)


def _task(
    platform: Platform, described: WorkflowDescription, project: ProjectRow, kind: TaskKind, task_id: str
) -> TaskDTO:
    started = datetime.fromisoformat(described.started_at) if described.started_at else utc_now()
    stall = platform.queues.stall(described.workflow_id, task_id)
    return TaskDTO(
        id=task_id,
        kind=kind,
        project_id=project.id,
        user_id=project.owner_id,
        workflow_id=described.workflow_id,
        run_id=described.run_id,
        state=_STATES.get(described.status, TaskState.FAILED),
        stage="starting",
        created_at=started,
        updated_at=started,
        web_url=platform.gateway.web_url(described.workflow_id, described.run_id),
        stalled_queue=stall.queue if stall else None,
        stalled_since=stall.since if stall else None,
    )
