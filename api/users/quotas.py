"""How much one person may have: projects, and tasks that run at once."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.dependencies import part
from api.problems import permanent
from api.tables import ProjectRow, TaskRow
from contracts.errors import ErrorCode
from contracts.states import ProjectStatus, TaskState
from contracts.wording import counted
from runtime.settings import Settings

_OPEN = [state.value for state in TaskState if not state.is_final]
_UNTIL_SEEN_S = 60.0
"""A task has a row with its first projection, which may take a while on a machine that is busy."""


class Quotas:
    """Counts by owner. A start is counted before its task has a row: otherwise thirty at once would all be the first.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._projects = settings.max_projects_per_user
        self._tasks = settings.max_running_tasks_per_user
        self._clock = clock
        self._starting: dict[str, tuple[int, float]] = {}

    async def check_projects(self, session: AsyncSession, user_id: int, project_id: str) -> None:
        """Raises QUOTA_EXCEEDED when this project is one more than its owner may have. Archived ones do not count."""
        known = await session.get(ProjectRow, project_id)
        if known is not None and known.status != ProjectStatus.ARCHIVED:
            return
        owner_id = user_id if known is None else known.owner_id
        if await self._is_full(session, owner_id):
            raise permanent(
                ErrorCode.QUOTA_EXCEEDED,
                f"You have {counted(self._projects, 'project')}, and may not have more. Archive one that you no longer "
                "need, or ask the operator for a higher ORCHESTRATOR_MAX_PROJECTS_PER_USER.",
            )

    async def check_one_more_project(self, session: AsyncSession, user_id: int, given: ProjectRow) -> None:
        """Raises QUOTA_EXCEEDED when this person cannot be given the project. An archived one does not count."""
        counts = given.status != ProjectStatus.ARCHIVED and given.owner_id != user_id
        if counts and await self._is_full(session, user_id):
            raise permanent(
                ErrorCode.QUOTA_EXCEEDED,
                f"User {user_id} has {counted(self._projects, 'project')}, and may not have more. They can archive "
                "one, or the operator raises ORCHESTRATOR_MAX_PROJECTS_PER_USER.",
            )

    async def _is_full(self, session: AsyncSession, owner_id: int) -> bool:
        # Two that are created at once are counted one after the other.
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"projects of {owner_id}"))))
        mine = (col(ProjectRow.owner_id) == owner_id) & (col(ProjectRow.status) != ProjectStatus.ARCHIVED.value)
        return (await session.scalar(select(func.count()).where(mine)) or 0) >= self._projects

    @asynccontextmanager
    async def one_more_task(
        self, session: AsyncSession, user_id: int, task_id: str, *, counted: bool = True
    ) -> AsyncIterator[None]:
        """Start a task of this owner inside. Raises QUOTA_EXCEEDED when as many run as may run at once."""
        if counted:
            await self._reserve(session, user_id, task_id)
        try:
            yield
        except BaseException:
            self._starting.pop(task_id, None)
            raise

    async def _reserve(self, session: AsyncSession, user_id: int, task_id: str) -> None:
        mine = (col(TaskRow.user_id) == user_id) & col(TaskRow.state).in_(_OPEN) & col(TaskRow.parent_task_id).is_(None)
        running = set(await session.scalars(select(col(TaskRow.id)).where(mine)))
        seen = set(await session.scalars(select(col(TaskRow.id)).where(col(TaskRow.id).in_(list(self._starting)))))
        now = self._clock()
        self._starting = {
            known: start
            for known, start in self._starting.items()
            if known not in seen and start[1] > now - _UNTIL_SEEN_S
        }
        running |= {known for known, (owner, _) in self._starting.items() if owner == user_id}
        # From here to the reservation nothing else runs, so no other start can come between.
        if len(running - {task_id}) >= self._tasks:
            raise permanent(
                ErrorCode.QUOTA_EXCEEDED,
                f"You have {counted(self._tasks, 'running task')} already, and no more may run at once. Wait for one, "
                "or cancel one: orchestrator task list. An operator can raise ORCHESTRATOR_MAX_RUNNING_TASKS_PER_USER.",
            )
        self._starting[task_id] = (user_id, now)


QuotasDep = Annotated[Quotas, Depends(part("quotas"))]
