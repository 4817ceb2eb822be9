"""What the database says before work starts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.problems import not_found
from api.releases import replies
from api.releases.queries import list_of_project
from api.tables import TaskRow
from api.visibility import is_visible
from api.work import retrying
from contracts import ids
from contracts.nouns import DeployStart
from contracts.parts import PartDone
from contracts.rollback import check_rollback
from contracts.states import DeployAction, TaskKind


async def find_started(session: AsyncSession, task_id: str) -> TaskRow | None:
    """The task of an earlier, equal request: a repetition after its end must not start it again."""
    return await session.get(TaskRow, task_id)


async def find_top(session: AsyncSession, caller: Caller, task_id: str) -> TaskRow:
    """The task that a person has started, of which `task_id` is a part; NOT_FOUND if there is none for this caller."""
    row = await session.get(TaskRow, task_id)
    if row is None or not await is_visible(session, caller, row.subject):
        raise not_found("task", task_id)
    return row if row.parent_task_id is None else await find_top(session, caller, row.parent_task_id)


async def find_engineering(session: AsyncSession, top: TaskRow) -> TaskRow | None:
    """The engineering of a delivery, or the task itself."""
    if top.kind == TaskKind.DELIVERY:
        return await session.get(TaskRow, ids.child_task_id(top.id, TaskKind.ENGINEERING))
    return top if top.kind == TaskKind.ENGINEERING else None


async def parts_done(session: AsyncSession, top: TaskRow) -> list[PartDone]:
    """What the tasks that have worked on the parts of a delivery have finished, over all attempts.

    In the order in which they ended: what was published last is what main is.
    """
    numbers = {part.task_id: part.number for part in retrying.parts_of(top) if part.task_id}
    statement = select(TaskRow).where(col(TaskRow.id).in_(numbers)).order_by(col(TaskRow.updated_at), col(TaskRow.id))
    rows = await session.scalars(statement)
    done = [(numbers[row.id], retrying.done_of_part(row)) for row in rows]
    return [PartDone(number=number, done=one) for number, one in done if one is not None]


async def check_release(session: AsyncSession, body: DeployStart) -> None:
    """Refuse a rollback that would certainly fail. Only the task can tell whether a commit exists at the forge."""
    if body.action is DeployAction.ROLLBACK:
        rows = await list_of_project(session, body.project_id)
        check_rollback([replies.release(row) for row in rows], body.release_id)
