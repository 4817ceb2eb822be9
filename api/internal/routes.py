"""What only the platform's own processes may do. Activities reach the database through these routes only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.artifacts import queries as artifacts
from api.audit.trail import Act, audited
from api.auth import platform_only
from api.chat import queries as chat
from api.checks import queries as checks
from api.checks import replies as check_replies
from api.credentials import queries as credentials
from api.database import Session
from api.problems import not_found
from api.projects import queries as projects
from api.releases import queries as release_queries
from api.releases import recording
from api.releases import replies as releases
from api.servers import allocations
from api.servers import queries as servers
from api.servers import replies as server_replies
from api.settings import queries as settings
from api.settings.defaults import DefaultsDep
from api.tasks import events, projections
from api.tasks import queries as task_queries
from api.tasks import replies as task_replies
from api.tokens import queries as tokens
from api.vault import VaultDep, names_with_value
from api.workers import events as worker_events
from api.workers import queries as workers
from api.workers import replies as worker_replies
from contracts.base import Identifier, utc_now
from contracts.maintenance import OpenTaskList, Tidied
from contracts.nouns import (
    ArtifactFates,
    ArtifactHashes,
    DeploymentDTO,
    DeploymentList,
    DeploymentRecord,
    EventBatch,
    EventsAccepted,
    PortAllocationDTO,
    PortAllocationRequest,
    ReleaseHealth,
    SecretGenerate,
    SecretNames,
    SecretReveal,
    SecretValues,
    ServerCreate,
    ServerDTO,
    TokenCreated,
    TokenRequest,
)
from contracts.planning import ChecksKept, KeepChecks, ProjectChecks, ProposedChecks, ProposedChecksBody
from contracts.progress import Projection, ProjectionAck
from contracts.project_settings import EgressHosts
from contracts.worker_steps import AgentWorkerAck, AgentWorkerBody, OpenWorkerList

router = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(platform_only)])

ProjectId = Annotated[Identifier, Path()]


@router.put("/projections")
async def apply_projection(body: Projection, session: Session) -> ProjectionAck:
    """Task, project status, question and milestone in one step; a repetition is not accepted and changes nothing."""
    return await projections.apply(session, body)


@router.get("/tasks")
async def list_open_tasks(
    session: Session,
    after: Annotated[Identifier | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> OpenTaskList:
    """Tasks that have not ended, in the order of their ids, for the comparison with Temporal."""
    found = await task_queries.list_open(session, after or "", limit)
    return OpenTaskList(items=[task_replies.open_task(*row) for row in found])


@router.post("/tidy")
async def tidy(session: Session) -> Tidied:
    """Delete expired tokens of agents and old marks of chats; a repetition finds nothing."""
    return Tidied(tokens=await credentials.delete_ended(session), chat_updates=await chat.delete_old_marks(session))


@router.post("/events")
async def post_events(body: EventBatch, session: Session) -> EventsAccepted:
    """Fine events of one task, or of an agent worker that works for none; a known key is the same event."""
    task = await events.lock_task(session, body.task_id)
    if task is None:
        return await _append_to_worker(session, body)
    stored = await events.append(session, task, events.FINE, body.events)
    if stored:
        await events.notify(session, task)
    return EventsAccepted(stored=stored)


async def _append_to_worker(session: Session, body: EventBatch) -> EventsAccepted:
    worker = await workers.find_any(session, body.task_id, lock=True)
    if worker is None or worker.task_id is not None:
        raise not_found("task", body.task_id)
    stored = await worker_events.append(session, worker, body.events)
    if stored:
        await worker_events.notify(session, worker)
    return EventsAccepted(stored=stored)


@router.get("/workers")
async def list_open_workers(
    session: Session,
    after: Annotated[Identifier | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> OpenWorkerList:
    """Agent workers that have not ended, in the order of their ids, for the comparison with Temporal."""
    found = await workers.list_open(session, after or "", limit)
    return OpenWorkerList(items=[worker_replies.open_worker(row) for row in found])


@router.put("/workers/{worker_id}")
async def record_worker(
    worker_id: Annotated[Identifier, Path()], body: AgentWorkerBody, session: Session
) -> AgentWorkerAck:
    """An agent worker as its workflow tells it; a repetition is not accepted and changes nothing."""
    if body.worker_id != worker_id:
        raise not_found("agent worker", worker_id)
    ack, worker = await workers.apply(session, body)
    if ack.accepted and body.event is not None and worker.task_id is None:
        await worker_events.append(session, worker, [worker_events.of_life(body.event, body.seq)])
    if ack.accepted:
        await worker_events.notify(session, worker)
    return ack


@router.post("/projects/{project_id}/secrets/generate")
async def generate_secrets(
    act: Annotated[Act, audited("secret.generate")],
    project_id: ProjectId,
    body: SecretGenerate,
    session: Session,
    vault: VaultDep,
) -> SecretNames:
    """A random value for every name that has none; values that exist never change."""
    await projects.get(session, project_id)
    act.tell(names=" ".join(body.names))
    await vault.generate(session, project_id, body.names)
    return SecretNames(present=sorted(await names_with_value(session, project_id)))


@router.get("/projects/{project_id}/secrets")
async def secret_names(project_id: ProjectId, session: Session) -> SecretNames:
    await projects.get(session, project_id)
    return SecretNames(present=sorted(await names_with_value(session, project_id)))


@router.get("/projects/{project_id}/egress")
async def egress_hosts(project_id: ProjectId, session: Session, defaults: DefaultsDep) -> EgressHosts:
    """What the project's agents may reach; the installation's setting for an agent that works on no project."""
    return EgressHosts(hosts=(await settings.effective(session, project_id, defaults)).egress_hosts)


@router.get("/projects/{project_id}/checks")
async def project_checks(
    project_id: ProjectId, session: Session, task_id: Annotated[Identifier | None, Query()] = None
) -> ProjectChecks:
    """What the project has promised, and what the task has proposed; nothing for what is no project."""
    proposed = await checks.proposed(session, project_id, task_id) if task_id else None
    return check_replies.promised(await checks.kept(session, project_id), proposed)


@router.put("/projects/{project_id}/checks/proposed/{task_id}")
async def propose_checks(
    project_id: ProjectId, task_id: Annotated[Identifier, Path()], body: ProposedChecksBody, session: Session
) -> ProposedChecks:
    """The checks of a task, in place of those that it had."""
    await checks.propose(session, project_id, task_id, body)
    return body


@router.post("/projects/{project_id}/checks/proposed/{task_id}/keep")
async def keep_checks(
    project_id: ProjectId, task_id: Annotated[Identifier, Path()], body: KeepChecks, session: Session
) -> ChecksKept:
    """Promise what the task has proposed and was met; a repetition changes nothing."""
    return await checks.keep(session, project_id, task_id, body)


@router.post("/secrets/reveal")
async def reveal_secrets(
    act: Annotated[Act, audited("secret.reveal")],
    body: SecretReveal,
    session: Session,
    vault: VaultDep,
) -> SecretValues:
    """The values by reference; all of them, or SECRET_MISSING with the names that have none."""
    act.on(body.refs[0].removeprefix("secret://projects/").partition("/")[0])
    act.tell(names=" ".join(ref.rpartition("/")[2] for ref in body.refs))
    return SecretValues(values=await vault.reveal_all(session, body.refs))


@router.post("/ports")
async def allocate_ports(body: PortAllocationRequest, session: Session) -> PortAllocationDTO:
    """The same answer for every repetition."""
    return await allocations.allocate(session, body)


@router.post("/artifacts/fates")
async def artifact_fates(body: ArtifactHashes, session: Session, defaults: DefaultsDep) -> ArtifactFates:
    """Which artifacts are kept, and which may be removed; changes nothing."""
    return await artifacts.fates(session, body.items, defaults, utc_now())


@router.put("/servers")
async def register_server(body: ServerCreate, session: Session) -> ServerDTO:
    """A server that the platform runs itself: insert or update by handle; one that is in use stays so while ready."""
    return server_replies.server(await servers.register(session, body))


@router.put("/releases")
async def record_release(body: DeploymentRecord, session: Session) -> DeploymentDTO:
    """Insert or update by id; a new active release makes the former one superseded in the same step."""
    return releases.release(await recording.record(session, body))


@router.get("/releases/active")
async def active_releases(session: Session) -> DeploymentList:
    """What serves now, of all projects."""
    return DeploymentList(items=[releases.release(row) for row in await release_queries.list_active(session)])


@router.put("/releases/{release_id}/health")
async def record_health(
    release_id: Annotated[Identifier, Path()], body: ReleaseHealth, session: Session
) -> DeploymentDTO:
    """What was last seen of the services of an active release."""
    return releases.release(await recording.record_health(session, release_id, body))


@router.post("/tokens", status_code=201)
async def create_agent_token(
    act: Annotated[Act, audited("token.create")],
    body: TokenRequest,
    session: Session,
) -> TokenCreated:
    """A scoped token for an agent that works on a project, in the name of its owner."""
    act.on(body.project_id)
    act.tell(commands=" ".join(body.commands), ttl_s=body.ttl_s)
    return await tokens.issue(session, await projects.get(session, body.project_id), body)
