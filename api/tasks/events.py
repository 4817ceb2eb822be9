"""The ordered stream of events of each task: how it is written and read."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.database import Sessions
from api.tables import EventRow, TaskRow
from api.tasks.event_hub import CHANNEL, EventHub
from contracts.progress import FineEvent, StreamedEvent
from contracts.states import TaskState

PAGE = 500
FINE = "fine"
MILESTONE = "milestone"


async def lock_task(session: AsyncSession, task_id: str) -> TaskRow | None:
    """The task's row, locked until the commit: writers wait for each other here, so `seq` order is commit order."""
    statement = select(TaskRow).where(col(TaskRow.id) == task_id).with_for_update()
    rows = await session.scalars(statement, execution_options={"populate_existing": True})
    return rows.one_or_none()


async def append(session: AsyncSession, task: TaskRow, grain: str, events: Sequence[FineEvent]) -> int:
    """Add those events whose key is new, to a task that this transaction has locked; returns how many."""
    # The first of equal keys counts.
    fresh = {event.key: event for event in reversed(events)}
    stored = await session.scalars(
        select(col(EventRow.key)).where(
            col(EventRow.task_id) == task.id, col(EventRow.grain) == grain, col(EventRow.key).in_(list(fresh))
        )
    )
    known = set(stored)
    new = [key for key in dict.fromkeys(event.key for event in events) if key not in known]
    for number, key in enumerate(new, start=task.last_event_seq + 1):
        document = fresh[key].event.model_dump(mode="json")
        session.add(EventRow(task_id=task.id, seq=number, grain=grain, key=key, event=document))
    task.last_event_seq += len(new)
    return len(new)


async def notify(session: AsyncSession, task_id: str) -> None:
    """Wake the stream's readers, once this transaction has committed."""
    await session.execute(select(func.pg_notify(CHANNEL, task_id)))


async def read(session: AsyncSession, task_id: str, after: int, limit: int) -> list[StreamedEvent]:
    """At most `limit` events with a `seq` above `after`, in order."""
    statement = select(EventRow).where(col(EventRow.task_id) == task_id, col(EventRow.seq) > after)
    rows = await session.scalars(statement.order_by(col(EventRow.seq)).limit(limit))
    return [StreamedEvent.model_validate(row.model_dump(exclude={"key", "created_at"})) for row in rows]


async def is_closed(session: AsyncSession, task_id: str) -> bool:
    """Whether the task has reached its final state."""
    state = (await session.scalars(select(col(TaskRow.state)).where(col(TaskRow.id) == task_id))).one_or_none()
    return state is not None and TaskState(state).is_final


async def follow(sessions: Sessions, hub: EventHub, task_id: str, after: int) -> AsyncIterator[StreamedEvent]:
    """Events above `after`, each once and in order, until the task is closed and read to its end."""
    with hub.subscribed(task_id) as wake:
        while not hub.closed:
            wake.clear()
            async with sessions() as session:
                # The state first: a final state was committed together with the last milestone.
                closed = await is_closed(session, task_id)
                page = await read(session, task_id, after, PAGE)
            for event in page:
                after = event.seq
                yield event
            if len(page) == PAGE:
                continue
            if closed:
                return
            await wake.wait()
