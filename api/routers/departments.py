"""Starting work: the workflow's start is the single write, so these routes store nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import Caller, agents_may
from api.database import Session
from api.gateway_link import WorkflowGateway
from api.problems import permanent
from api.scope import find_project, find_working_project
from api.state import Platform, ThePlatform
from api.tables import ProjectRow, ReleaseRow, TaskRow
from contracts import ids
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import ErrorCode
from contracts.nouns import DeliveryStart, DeployStart, EngineeringStart, StartedTask
from contracts.project_spec import ProjectSpec
from contracts.rollback import check_rollback
from contracts.states import DeployAction, Module, Role, TaskKind

router = APIRouter(tags=["work"])

Engineers = Annotated[Caller, Depends(agents_may("engineering.start"))]
Delivers = Annotated[Caller, Depends(agents_may("engineering.start"))]
Deploys = Annotated[Caller, Depends(agents_may("deploy.start"))]


@router.post("/engineering", status_code=202)
async def start_engineering(
    body: EngineeringStart, session: Session, caller: Engineers, platform: ThePlatform
) -> StartedTask:
    """A wish to a verified commit. The same request id for the same project is the same task."""
    project = await find_working_project(session, caller, body.project_id)
    task_id = _task_id(TaskKind.ENGINEERING, body)
    if (known := await _started_before(session, platform, task_id)) is not None:
        return known
    message = EngineeringMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        title=body.title,
        spec=_spec(body, project),
        project_name=project.name,
        agent=body.agent or platform.settings.agent,
        max_rounds=body.max_rounds,
    )
    return await (await _gateway(session, platform)).start_engineering(message)


@router.post("/deliveries", status_code=202)
async def start_delivery(body: DeliveryStart, session: Session, caller: Delivers, platform: ThePlatform) -> StartedTask:
    """A wish to a live URL: engineering, then deploy. The same request id for the same project is the same task."""
    if caller.commands is not None and "deploy.start" not in caller.commands:
        raise permanent(ErrorCode.NOT_ALLOWED, "This token may not do that; it would need `deploy.start` as well.")
    project = await find_working_project(session, caller, body.project_id)
    task_id = _task_id(TaskKind.DELIVERY, body)
    if (known := await _started_before(session, platform, task_id)) is not None:
        return known
    message = DeliveryMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        project_name=project.name,
        title=body.title,
        spec=_spec(body, project),
        agent=body.agent or platform.settings.agent,
        max_rounds=body.max_rounds,
        require_approval=body.require_approval,
    )
    return await (await _gateway(session, platform)).start_delivery(message)


@router.post("/deploys", status_code=202)
async def start_deploy(body: DeployStart, session: Session, caller: Deploys, platform: ThePlatform) -> StartedTask:
    """Deploy, roll back, stop, restart or remove. The same request id for the same project is the same task."""
    # What an archived project left running can still be ended.
    find = find_project if body.action in {DeployAction.STOP, DeployAction.REMOVE} else find_working_project
    project = await find(session, caller, body.project_id)
    _check_deploy(caller, body)
    task_id = _task_id(TaskKind.DEPLOY, body)
    if (known := await _started_before(session, platform, task_id)) is not None:
        return known
    await _check_rollback(session, body)
    message = DeployMessage(
        request_id=body.request_id,
        actor=caller.actor,
        task_id=task_id,
        project_id=project.id,
        user_id=project.owner_id,
        action=body.action,
        commit=body.commit,
        release_id=body.release_id,
        project_name=project.name,
        require_approval=body.require_approval,
    )
    return await (await _gateway(session, platform)).start_deploy(message)


async def _gateway(session: AsyncSession, platform: Platform) -> WorkflowGateway:
    # Nothing is read any more: no connection is held while Temporal takes its time.
    await session.commit()
    return await platform.gateway.get()


def _task_id(kind: TaskKind, body: EngineeringStart | DeployStart) -> str:
    """Two people's equal request ids must never name one task, so the project belongs to the id."""
    return ids.task_id_for_request(kind, f"{body.project_id}/{body.request_id}")


async def _started_before(session: AsyncSession, platform: Platform, task_id: str) -> StartedTask | None:
    """The task of an earlier, equal request: a repetition after its end must not start it again."""
    row = await session.get(TaskRow, task_id)
    if row is None:
        return None
    web_url = platform.gateway.web_url(row.workflow_id, row.run_id or None)
    return StartedTask(task_id=row.id, workflow_id=row.workflow_id, joined=True, web_url=web_url)


def _spec(body: EngineeringStart, project: ProjectRow) -> ProjectSpec:
    """The given spec, else one from the wish, else what the project was created with. The project's name counts."""
    if body.spec is not None:
        return body.spec.model_copy(update={"name": project.name})
    if body.wish.strip():
        return _spec_of_sentence(body.wish, project)
    if project.spec is not None:
        return ProjectSpec.model_validate(project.spec).model_copy(update={"name": project.name})
    if project.description.strip():
        return _spec_of_sentence(project.description, project)
    raise permanent(ErrorCode.INVALID_INPUT, "Say what to build: give a wish or a spec.")


def _spec_of_sentence(sentence: str, project: ProjectRow) -> ProjectSpec:
    modules = [Module(module) for module in project.modules]
    return ProjectSpec(name=project.name, description=sentence, modules=modules)


def _check_deploy(caller: Caller, body: DeployStart) -> None:
    if caller.actor.role is Role.AGENT and body.action not in {DeployAction.DEPLOY, DeployAction.RESTART}:
        raise permanent(ErrorCode.NOT_ALLOWED, "An agent may deploy and restart; ask a person for anything else.")
    if body.release_id is not None and body.action is not DeployAction.ROLLBACK:
        raise permanent(ErrorCode.INVALID_INPUT, "`release_id` is only for a rollback; to deploy, give a commit.")


async def _check_rollback(session: AsyncSession, body: DeployStart) -> None:
    """What is bound to fail is refused before it starts. A commit is known to the forge only: its task says so."""
    if body.action is DeployAction.ROLLBACK:
        rows = await session.scalars(select(ReleaseRow).where(col(ReleaseRow.project_id) == body.project_id))
        check_rollback([replies.release(row) for row in rows], body.release_id)
