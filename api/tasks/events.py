"""The ordered stream of events of each task and of the work below it: how it is written and read."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller, still_valid
from api.database import CHANNEL, Sessions
from api.tables import EventRow, TaskRow
from api.tasks.event_hub import EventHub
from api.tasks.percentages import Percentage
from api.tasks.queries import find_tree
from contracts.progress import FineEvent, StreamedEvent
from contracts.states import TaskState

Cursor = dict[str, int]
"""How far a reader has come: by task, the `seq` of its last event that was read."""

PAGE = 500
_LONGEST_WAIT_S = 60.0
"""Then a reader is looked at again, also if the notice that their access has ended was lost."""
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


async def notify(session: AsyncSession, task: TaskRow) -> None:
    """Wake the readers of the task, and those of its parent, who may not know it yet, once this has committed."""
    for task_id in filter(None, (task.id, task.parent_task_id)):
        await session.execute(select(func.pg_notify(CHANNEL, task_id)))


async def read(session: AsyncSession, task: TaskRow, after: int, limit: int) -> list[StreamedEvent]:
    """At most `limit` events of one task with a `seq` above `after`, in order."""
    return [_streamed(task, row) for row in await _rows(session, task, after, limit)]


def parse_cursor(text: str) -> Cursor:
    """The cursor that `cursor_text` wrote."""
    parts = (part.rpartition(":") for part in text.split(",") if part)
    return {task_id: int(seq) for task_id, _, seq in parts}


def cursor_text(cursor: Cursor) -> str:
    """Such as `dlv-1:4,eng-1:9`; the id of an event in the stream."""
    return ",".join(f"{task_id}:{seq}" for task_id, seq in cursor.items())


def is_read(tree: Sequence[TaskRow], cursor: Cursor) -> bool:
    """Whether the task at the top of the tree is closed, and everything has been read."""
    return _is_closed(tree) and all(row.last_event_seq <= cursor.get(row.id, 0) for row in tree)


async def follow(
    sessions: Sessions, hub: EventHub, caller: Caller, task_id: str, cursor: Cursor
) -> AsyncIterator[StreamedEvent]:
    """Events of the task and of all work below it that lie behind the cursor, each once, as they were written.

    Ends when the task is closed and everything is read: whatever was below it had ended before. Also when the caller
    may not read it any longer: their key or token expires or is ended, or they are blocked.
    """
    cursor, known, is_seen = dict(cursor), {task_id}, False
    percentage = await _percentage(sessions, caller, task_id, cursor)
    while not hub.closed and caller.left_s != 0:
        with hub.subscribed(known) as wake:
            async with sessions() as session:
                # The states first: a final state was committed together with the last milestone.
                tree = await find_tree(session, caller, task_id)
                was_seen, is_seen = is_seen, bool(tree)
                if (was_seen and not is_seen) or not await still_valid(session, caller):
                    return
                page, is_whole = await _next_page(session, tree, cursor)
            for event in page:
                cursor[event.task_id] = event.seq
                yield percentage.told(event)
            if not is_whole or not known.issuperset(row.id for row in tree):
                known.update(row.id for row in tree)
                continue
            if _is_closed(tree):
                return
            with suppress(TimeoutError):
                left_s = caller.left_s
                async with asyncio.timeout(_LONGEST_WAIT_S if left_s is None else min(left_s, _LONGEST_WAIT_S)):
                    await wake.wait()


async def _percentage(sessions: Sessions, caller: Caller, task_id: str, cursor: Cursor) -> Percentage:
    """As far as the task was at the cursor: for a reader who comes back, the number does not begin anew."""
    percentage = Percentage(task_id)
    if any(cursor.values()):
        async with sessions() as session:
            for task in await find_tree(session, caller, task_id):
                for row in await _milestones(session, task, cursor.get(task.id, 0)):
                    percentage.told(_streamed(task, row))
    return percentage


async def _milestones(session: AsyncSession, task: TaskRow, until: int) -> list[EventRow]:
    statement = select(EventRow).where(
        col(EventRow.task_id) == task.id, col(EventRow.grain) == MILESTONE, col(EventRow.seq) <= until
    )
    return list(await session.scalars(statement))


async def _next_page(
    session: AsyncSession, tree: Sequence[TaskRow], cursor: Cursor
) -> tuple[list[StreamedEvent], bool]:
    """What was written next in the whole tree, and whether that is all.

    Each task's own order is that of `seq`, whatever the clocks said. Beyond the end of a page that is full, later
    events of other tasks have to wait for the rest of it.
    """
    pages: list[list[tuple[datetime, StreamedEvent]]] = []
    ends: list[datetime] = []
    for task in tree:
        after = cursor.get(task.id, 0)
        if task.last_event_seq > after:
            rows = await _rows(session, task, after, PAGE)
            # A clock that was set back must not put an event behind a later one of its task: it would be passed over.
            moments = list(accumulate((row.created_at for row in rows), max))
            pages.append([(moment, _streamed(task, row)) for moment, row in zip(moments, rows, strict=True)])
            if len(rows) == PAGE:
                ends.append(moments[-1])
    merged = heapq.merge(*pages, key=lambda item: item[0])
    return [event for moment, event in merged if not ends or moment <= min(ends)], not ends


async def _rows(session: AsyncSession, task: TaskRow, after: int, limit: int) -> list[EventRow]:
    statement = select(EventRow).where(col(EventRow.task_id) == task.id, col(EventRow.seq) > after)
    return list(await session.scalars(statement.order_by(col(EventRow.seq)).limit(limit)))


def _streamed(task: TaskRow, row: EventRow) -> StreamedEvent:
    of_task = {"kind": task.kind, "subject": task.subject}
    return StreamedEvent.model_validate({**row.model_dump(exclude={"key", "created_at"}), **of_task})


def _is_closed(tree: Sequence[TaskRow]) -> bool:
    return bool(tree) and TaskState(tree[0].state).is_final
