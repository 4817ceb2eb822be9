"""What the database says before work starts."""

from sqlalchemy.ext.asyncio import AsyncSession

from api.releases import replies
from api.releases.queries import list_of_project
from api.tables import TaskRow
from contracts.nouns import DeployStart
from contracts.rollback import check_rollback
from contracts.states import DeployAction


async def find_started(session: AsyncSession, task_id: str) -> TaskRow | None:
    """The task of an earlier, equal request: a repetition after its end must not start it again."""
    return await session.get(TaskRow, task_id)


async def check_release(session: AsyncSession, body: DeployStart) -> None:
    """Refuse a rollback that would certainly fail. Only the task can tell whether a commit exists at the forge."""
    if body.action is DeployAction.ROLLBACK:
        rows = await list_of_project(session, body.project_id)
        check_rollback([replies.release(row) for row in rows], body.release_id)
