"""What agent workers did: in a stream of their own, or as a part of the stream of the task that they work for."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.database import CHANNEL, Sessions
from api.tables import EventRow
from api.tasks.event_hub import EventHub
from api.worker_tables import AgentWorkerEventRow, AgentWorkerRow
from contracts.agent_workers import WorkerLifecycleEvent
from contracts.progress import FineEvent, ProgressEvent, ProgressType
from contracts.worker_nouns import WorkerEvent

_TYPES: dict[str, ProgressType] = {
    "started": "started",
    "completed": "completed",
    "failed": "failed",
    "stopped": "completed",
}


async def append(session: AsyncSession, worker: AgentWorkerRow, events: Sequence[FineEvent]) -> int:
    """Add those events whose key is new, to an agent worker that this transaction has locked; returns how many."""
    fresh = {event.key: event for event in reversed(events)}
    stored = select(col(AgentWorkerEventRow.key)).where(
        col(AgentWorkerEventRow.worker_id) == worker.id, col(AgentWorkerEventRow.key).in_(list(fresh))
    )
    known = set(await session.scalars(stored))
    new = [key for key in dict.fromkeys(event.key for event in events) if key not in known]
    for number, key in enumerate(new, start=worker.last_event_seq + 1):
        document = fresh[key].event.model_dump(mode="json")
        session.add(AgentWorkerEventRow(worker_id=worker.id, seq=number, key=key, event=document))
    worker.last_event_seq += len(new)
    return len(new)


def of_life(event: WorkerLifecycleEvent, seq: int) -> FineEvent:
    """A line of its stream that says that a turn has begun or ended, or that it is gone itself."""
    words = f"{event.type}: {event.detail}" if event.detail else event.type
    progress = ProgressEvent(
        type=_TYPES[event.type], request_id=event.worker_id, timestamp=event.timestamp, message=words, kind="life"
    )
    return FineEvent(key=f"{event.worker_id}:life:{seq}", event=progress)


async def notify(session: AsyncSession, worker: AgentWorkerRow) -> None:
    """Wake its readers once this has committed."""
    await session.execute(select(func.pg_notify(CHANNEL, worker.id)))


async def read_or_wait(
    sessions: Sessions, hub: EventHub, worker: AgentWorkerRow, after: int, limit: int, wait_s: float
) -> list[WorkerEvent]:
    """At most `limit` events with a `seq` above `after`. If there is none yet, it waits for one for `wait_s` seconds.

    No connection to the database is held while it waits.
    """
    with hub.subscribed({worker.task_id or worker.id}) as wake:
        found = await _read(sessions, worker, after, limit)
        if found or not wait_s:
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await wake.wait()
        return await _read(sessions, worker, after, limit)


async def _read(sessions: Sessions, worker: AgentWorkerRow, after: int, limit: int) -> list[WorkerEvent]:
    async with sessions() as session:
        if worker.task_id is None:
            own = select(AgentWorkerEventRow).where(
                col(AgentWorkerEventRow.worker_id) == worker.id, col(AgentWorkerEventRow.seq) > after
            )
            rows = await session.scalars(own.order_by(col(AgentWorkerEventRow.seq)).limit(limit))
            return [_told(row.seq, row.event) for row in rows]
        of_task = select(EventRow).where(
            col(EventRow.task_id) == worker.task_id,
            col(EventRow.seq) > after,
            col(EventRow.key).startswith(f"{worker.id}:", autoescape=True),
        )
        rows_of_task = await session.scalars(of_task.order_by(col(EventRow.seq)).limit(limit))
        return [_told(row.seq, row.event) for row in rows_of_task]


def _told(seq: int, event: dict[str, object]) -> WorkerEvent:
    return WorkerEvent.model_validate({"seq": seq, "event": event})
