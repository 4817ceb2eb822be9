"""Agent workers: what people make, send, steer, stop and read. The workflow's start is the single write."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.artifacts.slices import ArtifactsDep, read_slice
from api.audit.trail import Act, audited
from api.auth import Caller, Person
from api.database import Session, SessionsDep
from api.dependencies import SettingsDep
from api.gateway import GatewayDep
from api.models import raising
from api.paging import PageDep
from api.problems import not_found, permanent
from api.settings.defaults import DefaultsDep
from api.settings.queries import effective
from api.tasks.event_hub import EventHubDep
from api.visibility import Right, find_working_project
from api.worker_tables import ENDED_WORKERS, AgentWorkerRow
from api.workers import events, messages, queries, replies
from contracts import ids
from contracts.agent_workers import (
    AgentWorkerRun,
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendFileCommand,
    SendFileResponse,
    SendMessageCommand,
    SteerWorkerCommand,
    SteerWorkerResponse,
    StopTurnCommand,
    StopTurnResponse,
)
from contracts.artifacts import ArtifactRef
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.models import ModelBudget
from contracts.nouns import ArtifactContent
from contracts.states import AgentKind, AgentWorkerState
from contracts.wording import counted
from contracts.worker_nouns import (
    AgentWorkerDTO,
    AgentWorkerList,
    WorkerBudgetRaise,
    WorkerCreate,
    WorkerEventList,
    WorkerFile,
    WorkerMessage,
    WorkerMessageReply,
    WorkerRequest,
    WorkerSteer,
)
from runtime import process_mode

router = APIRouter(tags=["workers"])

MAX_WAIT_S = 25
"""Below what proxies allow a request that says nothing."""
MAX_EVENTS = 500
MAX_SLICE = 65_536

WorkerId = Annotated[Identifier, Path()]
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S)]
After = Annotated[int, Query(ge=0, le=2**63 - 1)]


@router.post("/workers", status_code=201)
async def create_worker(
    act: Annotated[Act, audited("worker.create")],
    body: WorkerCreate,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
    defaults: DefaultsDep,
    settings: SettingsDep,
) -> AgentWorkerDTO:
    """Make an agent worker. The same id again is the same one; one that is somebody else's, a conflict."""
    act.on(body.worker_id)
    known = await queries.find_any(session, body.worker_id)
    if known is not None and not queries.is_reserved(_own(known, caller)):
        return replies.worker(known, gateway)
    project = await find_working_project(session, caller, body.project_id) if body.project_id else None
    process_mode.refuse_others(settings, caller.user_id, *([project.owner_id] if project else []))
    # Counted and reserved in one transaction: two requests at once never both take the last place.
    if await queries.count_open(session, caller.user_id, but=body.worker_id) >= settings.max_agent_workers_per_user:
        raise _too_many(settings.max_agent_workers_per_user)
    chosen = await effective(session, project.id if project else body.worker_id, defaults)
    run = messages.run(body, caller, project, settings, chosen)
    process_mode.refuse_model(settings, run.config.agent)
    act.tell(agent=run.config.agent.value, project=body.project_id, login=run.login_volume)
    _own(await queries.reserve(session, run), caller)
    # No database connection is held while Temporal is asked.
    await session.commit()
    await _start(session, gateway, run)
    return replies.starting(run, gateway)


@router.get("/workers")
async def list_workers(
    session: Session,
    caller: Person,
    page: PageDep,
    gateway: GatewayDep,
    project_id: Annotated[Identifier | None, Query()] = None,
    include_ended: bool = False,
) -> AgentWorkerList:
    """List agent workers, newest first: those of people, and those of tasks."""
    rows, following = await queries.list_visible(
        session, caller, page, project_id=project_id, include_ended=include_ended
    )
    return AgentWorkerList(items=[replies.worker(row, gateway) for row in rows], next_cursor=following)


@router.get("/workers/{worker_id}")
async def show_worker(
    worker_id: WorkerId, session: Session, caller: Person, gateway: GatewayDep, settings: SettingsDep
) -> AgentWorkerDTO:
    """Show an agent worker, and the turn that runs now as it has told last."""
    row = await queries.find(session, caller, worker_id)
    shown = replies.worker(row, gateway)
    project = await queries.project_of(session, row)
    if project is not None and row.branch:
        shown = shown.model_copy(update={"clone_url": replies.clone_url(project, settings)})
    if row.state in ENDED_WORKERS or not await gateway.reachable():
        return shown
    await session.commit()
    connected = await gateway.get()
    described = await connected.describe(shown.workflow_id)
    if described is None or described.status != "running":
        # A run that has just continued as new is looked at again by whoever asks next.
        is_moving = described is not None and described.status == "continued_as_new"
        return shown if is_moving else replies.lost(shown)
    runs = row.state == AgentWorkerState.RUNNING
    return replies.with_turn(shown, await connected.running_turn(shown.workflow_id) if runs else None)


@router.post("/workers/{worker_id}/messages")
async def send_message(
    act: Annotated[Act, audited("worker.message")],
    worker_id: WorkerId,
    body: WorkerMessage,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
    wait_s: Wait = 0,
) -> WorkerMessageReply:
    """One turn. The same request id is the same turn: sent again, it waits for the end for `wait_s` seconds more."""
    row = _of_person(await _inside(session, caller, worker_id, Right.ACT))
    act.tell(request=body.request_id)
    await session.commit()
    command = SendMessageCommand(
        request_id=body.request_id, worker_id=row.id, message=body.message, timeout=body.timeout_s
    )
    response = await (await gateway.get()).send_worker_message(command, wait_s)
    return WorkerMessageReply(request_id=body.request_id, response=response)


@router.post("/workers/{worker_id}/files")
async def send_file(
    act: Annotated[Act, audited("worker.file")],
    worker_id: WorkerId,
    body: WorkerFile,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
) -> SendFileResponse:
    """Write a file into the workspace: between turns, so it waits for one that runs."""
    row = _of_person(await _inside(session, caller, worker_id, Right.ACT))
    act.tell(request=body.request_id)
    await session.commit()
    command = SendFileCommand(request_id=body.request_id, worker_id=row.id, path=body.path, content=body.content)
    return await (await gateway.get()).send_worker_file(command)


@router.post("/workers/{worker_id}/steer")
async def steer_worker(
    act: Annotated[Act, audited("worker.steer")],
    worker_id: WorkerId,
    body: WorkerSteer,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
) -> SteerWorkerResponse:
    """A message for the turn that runs now."""
    row = await _inside(session, caller, worker_id, Right.ACT)
    act.tell(request=body.request_id)
    await session.commit()
    command = SteerWorkerCommand(request_id=body.request_id, worker_id=row.id, message=body.message)
    return await (await gateway.get()).steer_worker(command)


@router.post("/workers/{worker_id}/stop")
async def stop_turn(
    act: Annotated[Act, audited("worker.stop")],
    worker_id: WorkerId,
    body: WorkerRequest,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
) -> StopTurnResponse:
    """Stop the turn that runs now. Its state says when it has ended; the agent worker stays."""
    row = await _to_act_on(session, caller, worker_id)
    act.tell(request=body.request_id)
    await session.commit()
    return await (await gateway.get()).stop_worker_turn(StopTurnCommand(request_id=body.request_id, worker_id=row.id))


@router.post("/workers/{worker_id}/budget")
async def raise_worker_budget(
    act: Annotated[Act, audited("worker.budget")],
    worker_id: WorkerId,
    body: WorkerBudgetRaise,
    session: Session,
    caller: Person,
    defaults: DefaultsDep,
) -> ModelBudget:
    """Let an agent worker of a person spend more: owners decide about money. For one of a task, the task asks."""
    row = _of_person(await queries.find(session, caller, worker_id, Right.OWN))
    act.tell(request=body.request_id, add_usd=body.add_usd)
    return await raising.raise_for_worker(session, row, body, caller.user_id, defaults)


@router.delete("/workers/{worker_id}")
async def delete_worker(
    act: Annotated[Act, audited("worker.delete")],
    worker_id: WorkerId,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
) -> DeleteWorkerResponse:
    """End an agent worker with its workspace. What was pushed to its branch stays. A repetition changes nothing."""
    row = _of_person(await _to_act_on(session, caller, worker_id))
    act.tell(agent=row.agent)
    await session.commit()
    command = DeleteWorkerCommand(request_id=f"{row.id}/delete", worker_id=row.id)
    return await (await gateway.get()).delete_worker(command)


@router.get("/workers/{worker_id}/events")
async def list_worker_events(
    worker_id: WorkerId,
    session: Session,
    caller: Person,
    sessions: SessionsDep,
    hub: EventHubDep,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
    wait_s: Wait = 0,
) -> WorkerEventList:
    """What it did, oldest first, with a `seq` above `after`; if there is nothing new, waits for it."""
    row = await _inside(session, caller, worker_id, Right.SEE)
    await session.commit()
    return WorkerEventList(items=await events.read_or_wait(sessions, hub, row, after, limit, wait_s))


@router.get("/workers/{worker_id}/artifacts/{sha256}")
async def read_worker_artifact(
    worker_id: WorkerId,
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
    session: Session,
    caller: Person,
    artifacts: ArtifactsDep,
    offset: After = 0,
    limit: Annotated[int, Query(ge=4, le=MAX_SLICE)] = MAX_SLICE,
) -> ArtifactContent:
    """A slice of a transcript of one of its turns."""
    row = await _inside(session, caller, worker_id, Right.SEE)
    found = next((one for one in row.transcripts if one["sha256"] == sha256), None)
    if found is None:
        raise not_found("artifact", sha256)
    return await read_slice(artifacts, ArtifactRef.model_validate(found), offset, limit)


@router.post("/agent-logins/{agent}/logout", status_code=204)
async def log_agent_out(
    act: Annotated[Act, audited("agent.logout")],
    agent: AgentKind,
    session: Session,
    caller: Person,
    user_id: Annotated[int | None, Query()] = None,
) -> None:
    """Whether an agent's own log-in may be removed now: not while an agent worker uses it.

    Its volume is on the platform's machine, and is then removed there.
    """
    owner = caller.user_id if user_id is None else user_id
    act.on(ids.login_volume(owner, agent))
    if owner != caller.user_id and not caller.sees_all:
        raise permanent(ErrorCode.NOT_ALLOWED, "Only an administrator may remove the log-in of somebody else.")
    if using := await queries.using_login(session, owner, agent):
        raise permanent(
            ErrorCode.CONFLICT,
            f"It is used by {', '.join(using[:5])}. End what uses it first: `orchestrator worker delete {using[0]}`.",
        )


async def _start(session: Session, gateway: GatewayDep, run: AgentWorkerRun) -> None:
    worker_id = str(run.worker_id)
    try:
        run_id = await (await gateway.get()).start_worker(run)
    except Exception:
        await queries.release(session, worker_id)
        await session.commit()
        raise
    await queries.started(session, worker_id, run_id)


async def _inside(session: Session, caller: Caller, worker_id: str, right: Right) -> AgentWorkerRow:
    """One whose work the caller reads or directs: with a log-in only its owner, whose account it may spend and show."""
    row = await queries.find(session, caller, worker_id, right)
    if row.uses_login and row.user_id != caller.user_id:
        raise permanent(ErrorCode.NOT_ALLOWED, "It uses its owner's log-in: only they may direct it and read its work.")
    return row


async def _to_act_on(session: Session, caller: Caller, worker_id: str) -> AgentWorkerRow:
    """One of a task is steered and stopped like any other; only the task itself ends it, or gives it its work."""
    return await queries.find(session, caller, worker_id, Right.ACT)


def _of_person(row: AgentWorkerRow) -> AgentWorkerRow:
    if row.task_id is not None:
        reason = f"It works for the task {row.task_id}, which gives it its messages. To stop that: "
        raise permanent(ErrorCode.CONFLICT, f"{reason}`orchestrator task cancel {row.task_id}`.")
    return row


def _own(known: AgentWorkerRow, caller: Caller) -> AgentWorkerRow:
    if known.user_id != caller.user_id or known.task_id is not None:
        raise permanent(ErrorCode.CONFLICT, "This id is taken. Use another one.")
    return known


def _too_many(limit: int) -> Exception:
    return permanent(
        ErrorCode.QUOTA_EXCEEDED,
        f"You have {counted(limit, 'agent worker')}, and may not have more. End one: `orchestrator worker delete`. "
        "An operator can raise ORCHESTRATOR_MAX_AGENT_WORKERS_PER_USER.",
    )
