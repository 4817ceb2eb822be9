"""Tasks: what runs, their cancellation and their stream."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.audit.trail import Act, audited
from api.auth import Caller, agents_may
from api.database import Session, SessionsDep
from api.gateway import GatewayDep
from api.paging import PageDep
from api.problems import permanent
from api.questions.queries import list_of_tasks
from api.tasks import costing, events, queries
from api.tasks.event_hub import EventHubDep
from api.tasks.replies import TaskRepliesDep
from api.tasks.starting import find_starting_task
from api.visibility import Right, require
from contracts.base import Identifier
from contracts.departments import DeployMessage
from contracts.errors import ErrorCode
from contracts.nouns import CancelAccepted, EventList, TaskDTO, TaskList, TaskTree
from contracts.progress import StreamedEvent
from contracts.states import TaskKind, TaskState

router = APIRouter(tags=["tasks"])

HEARTBEAT_S = 15
MAX_BIGINT = 2**63 - 1
MAX_QUESTIONS = 200

TaskId = Annotated[Identifier, Path()]
After = Annotated[int, Query(ge=0, le=MAX_BIGINT)]
LastEventId = Annotated[
    str, Header(alias="Last-Event-ID", max_length=20_000, pattern=r"^([A-Za-z0-9._-]{1,100}:[0-9]{1,18}(,|$))*$")
]
MayList = Annotated[Caller, Depends(agents_may("task.list"))]
MayShow = Annotated[Caller, Depends(agents_may("task.show", "engineering.status", "deploy.status"))]
MayWatch = Annotated[Caller, Depends(agents_may("task.watch", "task.logs"))]
MayCancel = Annotated[Caller, Depends(agents_may("task.cancel"))]


@router.get("/tasks")
async def list_tasks(
    session: Session,
    caller: MayList,
    replies: TaskRepliesDep,
    page: PageDep,
    project_id: Annotated[Identifier | None, Query()] = None,
    state: TaskState | None = None,
    kind: TaskKind | None = None,
) -> TaskList:
    """List tasks, newest first. A task appears with its first projection, milliseconds after its start."""
    rows, following = await queries.list_visible(session, caller, page, project_id=project_id, state=state, kind=kind)
    return TaskList(items=[replies.task(row) for row in rows], next_cursor=following)


@router.get("/tasks/{task_id}")
async def show_task(task_id: TaskId, session: Session, caller: MayShow, replies: TaskRepliesDep) -> TaskDTO:
    """Show a task. Before its first projection, Temporal is asked."""
    rows = await queries.find_tree(session, caller, task_id)
    if not rows:
        return await find_starting_task(session, replies, caller, task_id)
    return replies.task(rows[0], (await costing.of_trees(session, rows)).get(task_id))


@router.post("/tasks/{task_id}/cancel", status_code=202)
async def cancel_task(
    act: Annotated[Act, audited("task.cancel")],
    task_id: TaskId,
    session: Session,
    caller: MayCancel,
    replies: TaskRepliesDep,
    gateway: GatewayDep,
) -> CancelAccepted:
    """Ask the workflow to cancel; the task says `cancelled` once everything has been stopped.

    Of a deploy only this task: others of the project that run or wait in the same workflow go on.
    """
    row = await queries.find(session, caller, task_id)
    if row is not None and TaskState(row.state).is_final:
        raise permanent(ErrorCode.WORKFLOW_NOT_RUNNING, f"The task is already {row.state}; there is nothing to cancel.")
    task = replies.task(row) if row else await find_starting_task(session, replies, caller, task_id)
    await require(session, caller, task.subject, Right.ACT)
    connected = await gateway.get()
    project_id = task.subject.project_id
    act.tell(kind=task.kind.value, subject=task.subject)
    if task.kind is TaskKind.DEPLOY and project_id is not None:
        await connected.withdraw_deploy(task.workflow_id, _withdrawal(task, caller, project_id))
    else:
        await connected.cancel(task.workflow_id)
    return CancelAccepted(task_id=task_id, message="The work is being stopped.")


@router.get("/tasks/{task_id}/tree")
async def show_tree(task_id: TaskId, session: Session, caller: MayShow, replies: TaskRepliesDep) -> TaskTree:
    """Show a task, all work below it, and their questions. Before the task's first projection, Temporal is asked.

    An agent reads questions only with `question.list`.
    """
    rows = await queries.find_tree(session, caller, task_id)
    if not rows:
        return TaskTree(task=await find_starting_task(session, replies, caller, task_id))
    ids = [row.id for row in rows] if caller.may("question.list") else []
    asked = await list_of_tasks(session, ids, MAX_QUESTIONS)
    return replies.tree(rows, asked, await costing.of_trees(session, rows))


@router.get("/tasks/{task_id}/events")
async def list_events(
    task_id: TaskId,
    session: Session,
    caller: MayWatch,
    replies: TaskRepliesDep,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=events.PAGE)] = events.PAGE,
) -> EventList:
    """The task's own events with a `seq` above `after`, oldest first."""
    row = await queries.find(session, caller, task_id)
    if row is None:
        await find_starting_task(session, replies, caller, task_id)
        return EventList(items=[])
    return EventList(items=await events.read(session, row, after, limit))


@router.get(
    "/tasks/{task_id}/stream",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Each `data` is a StreamedEvent."},
        204: {"description": "The task is closed, and there is nothing more to read."},
    },
)
async def stream_events(
    task_id: TaskId,
    session: Session,
    caller: MayWatch,
    replies: TaskRepliesDep,
    sessions: SessionsDep,
    hub: EventHubDep,
    last_event_id: LastEventId = "",
    after: After = 0,
) -> Response:
    """Events of the task and of all work below it as they happen; ends when the task is closed.

    From `Last-Event-ID` on, or from the task's own `seq` `after` on. A comment every 15 s says that the connection
    lives. 204 means: closed, and nothing more to read.
    """
    tree = await queries.find_tree(session, caller, task_id)
    if not tree:
        await find_starting_task(session, replies, caller, task_id)
    cursor = events.parse_cursor(last_event_id) if last_event_id else {task_id: after}
    if events.is_read(tree, cursor):
        return Response(status_code=204)
    messages = _messages(events.follow(sessions, hub, caller, task_id, cursor), cursor)
    return EventSourceResponse(messages, ping=HEARTBEAT_S, sep="\n")


async def _messages(followed: AsyncIterator[StreamedEvent], cursor: events.Cursor) -> AsyncIterator[ServerSentEvent]:
    """The id of each message is the cursor after it."""
    async for event in followed:
        cursor[event.task_id] = event.seq
        yield ServerSentEvent(data=event.model_dump_json(), id=events.cursor_text(cursor))


def _withdrawal(task: TaskDTO, caller: Caller, project_id: str) -> DeployMessage:
    """The workflow identifies the message by its task, and reads nothing else of it."""
    return DeployMessage(
        request_id=task.id, actor=caller.actor, task_id=task.id, project_id=project_id, user_id=task.user_id
    )
