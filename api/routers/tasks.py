"""Tasks: what runs, their cancellation and their stream."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import Response
from sqlalchemy import select
from sqlmodel import col
from sse_starlette import EventSourceResponse, ServerSentEvent

from api import replies, task_events
from api.auth import Caller, agents_may
from api.database import Session
from api.problems import permanent
from api.scope import find_task, visible_project_ids
from api.starting_tasks import find_starting
from api.state import Platform, ThePlatform
from api.tables import TaskRow
from contracts.base import Identifier
from contracts.departments import DeployMessage
from contracts.errors import ErrorCode
from contracts.nouns import CancelAccepted, EventList, TaskDTO, TaskList
from contracts.states import TaskKind, TaskState

router = APIRouter(tags=["tasks"])

HEARTBEAT_S = 15
MAX_BIGINT = 2**63 - 1

TaskId = Annotated[Identifier, Path()]
After = Annotated[int, Query(ge=0, le=MAX_BIGINT)]
LastEventId = Annotated[str, Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,18}$")]
Lists = Annotated[Caller, Depends(agents_may("task.list"))]
Shows = Annotated[Caller, Depends(agents_may("task.show", "engineering.status", "deploy.status"))]
Watches = Annotated[Caller, Depends(agents_may("task.watch", "task.logs"))]
Cancels = Annotated[Caller, Depends(agents_may("task.cancel"))]


@router.get("/tasks")
async def list_tasks(
    session: Session,
    caller: Lists,
    platform: ThePlatform,
    project_id: Annotated[Identifier | None, Query()] = None,
    state: TaskState | None = None,
    kind: TaskKind | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TaskList:
    """Newest first. A task appears with its first projection, milliseconds after its start."""
    statement = select(TaskRow).where(col(TaskRow.project_id).in_(visible_project_ids(caller)))
    for column, wanted in ((TaskRow.project_id, project_id), (TaskRow.state, state), (TaskRow.kind, kind)):
        if wanted is not None:
            statement = statement.where(col(column) == wanted)
    rows = await session.scalars(statement.order_by(col(TaskRow.created_at).desc(), col(TaskRow.id)).limit(limit))
    return TaskList(items=[_reply(row, platform) for row in rows])


@router.get("/tasks/{task_id}")
async def show_task(task_id: TaskId, session: Session, caller: Shows, platform: ThePlatform) -> TaskDTO:
    """Until its first projection, Temporal is asked."""
    row = await find_task(session, caller, task_id)
    if row is not None:
        return _reply(row, platform)
    return await find_starting(session, platform, caller, task_id)


@router.post("/tasks/{task_id}/cancel", status_code=202)
async def cancel_task(task_id: TaskId, session: Session, caller: Cancels, platform: ThePlatform) -> CancelAccepted:
    """Ask the workflow to cancel; the task says `cancelled` once everything has been stopped.

    Of a deploy only this task: others of the project that run or wait in the same workflow go on.
    """
    row = await find_task(session, caller, task_id)
    if row is not None and TaskState(row.state).is_final:
        raise permanent(ErrorCode.WORKFLOW_NOT_RUNNING, f"The task is {row.state} already; there is nothing to cancel.")
    known = row or await find_starting(session, platform, caller, task_id)
    gateway = await platform.gateway.get()
    if known.kind == TaskKind.DEPLOY:
        await gateway.withdraw_deploy(_withdrawal(known, caller))
    else:
        await gateway.cancel(known.workflow_id)
    return CancelAccepted(task_id=task_id, message="The work is being stopped.")


@router.get("/tasks/{task_id}/events")
async def list_events(
    task_id: TaskId,
    session: Session,
    caller: Watches,
    platform: ThePlatform,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=task_events.PAGE)] = task_events.PAGE,
) -> EventList:
    """Events with a `seq` above `after`, oldest first."""
    if await find_task(session, caller, task_id) is None:
        await find_starting(session, platform, caller, task_id)
    return EventList(items=await task_events.read(session, task_id, after, limit))


@router.get(
    "/tasks/{task_id}/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Each `data` is a StreamedEvent."}},
)
async def stream_events(
    task_id: TaskId,
    session: Session,
    caller: Watches,
    platform: ThePlatform,
    last_event_id: LastEventId = "",
    after: After = 0,
) -> Response:
    """The task's events as they happen, from `Last-Event-ID` (or `after`) on; ends when the task is closed.

    A comment every 15 s says that the connection lives. 204 means: closed, and nothing more to read.
    """
    if await find_task(session, caller, task_id) is None:
        await find_starting(session, platform, caller, task_id)
    start = int(last_event_id) if last_event_id else after
    closed = await task_events.is_closed(session, task_id)
    if start and closed and not await task_events.read(session, task_id, start, 1):
        return Response(status_code=204)
    return EventSourceResponse(_messages(platform, task_id, start), ping=HEARTBEAT_S, sep="\n")


async def _messages(platform: Platform, task_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    async for event in task_events.follow(platform.sessions, platform.hub, task_id, after):
        yield ServerSentEvent(data=event.model_dump_json(), id=str(event.seq))


def _withdrawal(task: TaskRow | TaskDTO, caller: Caller) -> DeployMessage:
    """A message is known by its task; nothing else of it is looked at."""
    return DeployMessage(
        request_id=task.id, actor=caller.actor, task_id=task.id, project_id=task.project_id, user_id=task.user_id
    )


def _reply(row: TaskRow, platform: Platform) -> TaskDTO:
    # A deploy's workflow serves one task after another: what is over does not wait for anything.
    stall = None if TaskState(row.state).is_final else platform.queues.stall(row.workflow_id, row.id)
    return replies.task(row, platform.gateway.web_url(row.workflow_id, row.run_id or None), stall)
