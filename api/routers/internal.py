"""What only the platform's own processes may do: activities reach the database here and nowhere else."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from api import allocations, projections, releases, replies, task_events
from api.auth import issue_token, platform_only
from api.database import Session
from api.problems import not_found, permanent
from api.state import ThePlatform
from api.tables import ProjectRow
from api.vault import names_with_value
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.nouns import (
    DeploymentDTO,
    DeploymentRecord,
    EventBatch,
    EventsAccepted,
    PortAllocationDTO,
    PortAllocationRequest,
    SecretGenerate,
    SecretNames,
    SecretReveal,
    SecretValues,
    ServerCreate,
    ServerDTO,
    TokenCreated,
    TokenRequest,
)
from contracts.progress import Projection, ProjectionAck

router = APIRouter(prefix="/internal", tags=["internal"], dependencies=[Depends(platform_only)])

ProjectId = Annotated[Identifier, Path()]

_REF = re.compile(r"secret://projects/([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([A-Z_][A-Z0-9_]{0,99})\Z")


@router.put("/projections")
async def apply_projection(body: Projection, session: Session) -> ProjectionAck:
    """Task, project status, question and milestone in one step; a repetition is not accepted and changes nothing."""
    return await projections.apply(session, body)


@router.post("/events")
async def post_events(body: EventBatch, session: Session) -> EventsAccepted:
    """Fine events of one task; a key that is known already is the same event."""
    task = await task_events.lock_task(session, body.task_id)
    if task is None:
        raise not_found("task", body.task_id)
    stored = await task_events.append(session, task, task_events.FINE, body.events)
    if stored:
        await task_events.notify(session, task.id)
    return EventsAccepted(stored=stored)


@router.post("/projects/{project_id}/secrets/generate")
async def generate_secrets(
    project_id: ProjectId, body: SecretGenerate, session: Session, platform: ThePlatform
) -> SecretNames:
    """A random value for every name that has none; values that exist never change."""
    await _require_project(session, project_id)
    await platform.vault.generate(session, project_id, body.names)
    return SecretNames(present=sorted(await names_with_value(session, project_id)))


@router.get("/projects/{project_id}/secrets")
async def secret_names(project_id: ProjectId, session: Session) -> SecretNames:
    await _require_project(session, project_id)
    return SecretNames(present=sorted(await names_with_value(session, project_id)))


@router.post("/secrets/reveal")
async def reveal_secrets(body: SecretReveal, session: Session, platform: ThePlatform) -> SecretValues:
    """The values by reference; all of them, or SECRET_MISSING with the names that have none."""
    values: dict[str, str] = {}
    missing = []
    for ref in body.refs:
        match = _REF.match(ref)
        if match is None:
            raise permanent(ErrorCode.INVALID_INPUT, "A reference looks like secret://projects/<project>/<NAME>.")
        value = await platform.vault.reveal(session, match[1], match[2])
        if value is None:
            missing.append(match[2])
        else:
            values[ref] = value
    if missing:
        raise permanent(ErrorCode.SECRET_MISSING, f"These secrets have no value: {', '.join(missing)}.")
    return SecretValues(values=values)


@router.post("/ports")
async def allocate_ports(body: PortAllocationRequest, session: Session) -> PortAllocationDTO:
    """The same answer for every repetition."""
    return await allocations.allocate(session, body)


@router.put("/servers")
async def register_server(body: ServerCreate, session: Session) -> ServerDTO:
    """A server that the platform runs itself: insert or update by handle; one that is in use stays so while ready."""
    return replies.server(await allocations.register(session, body))


@router.put("/releases")
async def record_release(body: DeploymentRecord, session: Session) -> DeploymentDTO:
    """Insert or update by id; a new active release makes the former one superseded in the same step."""
    return replies.release(await releases.record(session, body))


@router.post("/tokens", status_code=201)
async def create_agent_token(body: TokenRequest, session: Session) -> TokenCreated:
    """A scoped token for an agent that works on a project, in the name of its owner."""
    project = await _require_project(session, body.project_id)
    token, row = await issue_token(
        session, user_id=project.owner_id, project_id=project.id, commands=body.commands, ttl_s=body.ttl_s
    )
    return TokenCreated(token=token, expires_at=row.expires_at, commands=row.commands)


async def _require_project(session: AsyncSession, project_id: str) -> ProjectRow:
    project = await session.get(ProjectRow, project_id)
    if project is None:
        raise not_found("project", project_id)
    return project
