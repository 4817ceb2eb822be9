"""A task between its start and its first projection: until then only Temporal knows it."""

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.problems import not_found
from api.tasks.queries import recently_used_projects
from api.tasks.replies import TaskReplies
from contracts import ids
from contracts.nouns import TaskDTO
from contracts.states import TaskKind

_MAX_PROJECTS = 20
"""The task started seconds ago, and starting work changes its project: the projects changed last are enough."""


async def find_starting_task(session: AsyncSession, replies: TaskReplies, caller: Caller, task_id: str) -> TaskDTO:
    """The task as Temporal describes it; NOT_FOUND when Temporal knows no such workflow of the caller's.

    A workflow that does not say which project it belongs to is not found. Raises TEMPORAL_UNREACHABLE when Temporal
    does not answer.
    """
    kind = ids.kind_of_task(task_id)
    if kind is None:
        raise not_found("task", task_id)
    projects = {project.id: project for project in await recently_used_projects(session, caller, _MAX_PROJECTS)}
    # For engineering there is only one id, which does not depend on the project.
    for workflow_id in dict.fromkeys(_workflow_id(kind, project.slug, task_id) for project in projects.values()):
        described = await (await replies.gateway.get()).describe(workflow_id)
        if described is not None and described.task_id == task_id and described.project_id in projects:
            return replies.starting_task(described, projects[described.project_id], kind, task_id)
    raise not_found("task", task_id)


def _workflow_id(kind: TaskKind, slug: str, task_id: str) -> str:
    match kind:
        case TaskKind.DELIVERY:
            return ids.delivery_workflow_id(slug, task_id)
        case TaskKind.ENGINEERING:
            return ids.engineering_workflow_id(task_id)
        case TaskKind.DEPLOY:
            return ids.deploy_workflow_id(slug)
