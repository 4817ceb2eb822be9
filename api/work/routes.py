"""Starting work. The workflow's start is the single write, so these routes store nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.dependencies import SettingsDep
from api.gateway import GatewayDep
from api.problems import permanent
from api.settings.defaults import DefaultsDep
from api.settings.queries import effective
from api.users.quotas import QuotasDep
from api.visibility import Right, find_project, find_working_project
from api.work import messages, queries, replies, retrying
from contracts import ids
from contracts.base import Identifier
from contracts.departments import DeliveryMessage, EngineeringMessage
from contracts.errors import ErrorCode
from contracts.nouns import DeliveryStart, DeployStart, EngineeringStart, StartedTask
from contracts.retries import TaskRetry
from contracts.states import DeployAction, TaskKind
from runtime import process_mode
from runtime.temporal.gateway import Work

router = APIRouter(tags=["work"])

MayEngineer = Annotated[Caller, Depends(agents_may("engineering.start"))]
MayDeliver = Annotated[Caller, Depends(agents_may("engineering.start"))]
MayDeploy = Annotated[Caller, Depends(agents_may("deploy.start"))]
ActOfEngineering = Annotated[Act, audited("engineering.start")]
ActOfDelivery = Annotated[Act, audited("delivery.start")]
ActOfDeploy = Annotated[Act, audited("deploy.start")]


@router.post("/engineering", status_code=202)
async def start_engineering(
    act: ActOfEngineering,
    body: EngineeringStart,
    session: Session,
    caller: MayEngineer,
    gateway: GatewayDep,
    defaults: DefaultsDep,
    quotas: QuotasDep,
    settings: SettingsDep,
) -> StartedTask:
    """A wish to a verified commit. The same request id for the same project is the same task."""
    project = await find_working_project(session, caller, body.project_id)
    task_id = messages.task_id(TaskKind.ENGINEERING, body)
    act.on(body.project_id, task_id)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    process_mode.refuse_others(settings, caller.user_id, project.owner_id)
    message = messages.engineering(body, project, caller, task_id, await effective(session, project.id, defaults))
    process_mode.refuse_model(settings, message.agent)
    async with quotas.one_more_task(session, project.owner_id, task_id):
        # Here and below: nothing more is read, so no database connection is held while Temporal is asked.
        await session.commit()
        return replies.started(await (await gateway.get()).start_engineering(message), caller)


@router.post("/deliveries", status_code=202)
async def start_delivery(
    act: ActOfDelivery,
    body: DeliveryStart,
    session: Session,
    caller: MayDeliver,
    gateway: GatewayDep,
    defaults: DefaultsDep,
    quotas: QuotasDep,
    settings: SettingsDep,
) -> StartedTask:
    """A wish to a live URL: engineering, then deploy. The same request id for the same project is the same task."""
    if not caller.may("deploy.start"):
        raise permanent(ErrorCode.NOT_ALLOWED, "This token may not do that; it also needs `deploy.start`.")
    project = await find_working_project(session, caller, body.project_id)
    task_id = messages.task_id(TaskKind.DELIVERY, body)
    act.on(body.project_id, task_id)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    process_mode.refuse_others(settings, caller.user_id, project.owner_id)
    message = messages.delivery(body, project, caller, task_id, await effective(session, project.id, defaults))
    process_mode.refuse_model(settings, message.agent)
    async with quotas.one_more_task(session, project.owner_id, task_id):
        await session.commit()
        return replies.started(await (await gateway.get()).start_delivery(message), caller)


@router.post("/deploys", status_code=202)
async def start_deploy(
    act: ActOfDeploy,
    body: DeployStart,
    session: Session,
    caller: MayDeploy,
    gateway: GatewayDep,
    defaults: DefaultsDep,
    quotas: QuotasDep,
    settings: SettingsDep,
) -> StartedTask:
    """Deploy, roll back, stop, restart or remove. The same request id for the same project is the same task."""
    # What an archived project left running is still served: it can be ended, and brought back when it hangs.
    ends = body.action in {DeployAction.STOP, DeployAction.REMOVE}
    if ends or body.action is DeployAction.RESTART:
        project = await find_project(session, caller, body.project_id, Right.ACT)
    else:
        project = await find_working_project(session, caller, body.project_id)
    act.tell(action=body.action.value, commit=body.commit, release=body.release_id)
    messages.check_deploy(caller, body)
    task_id = messages.task_id(TaskKind.DEPLOY, body)
    act.on(body.project_id, task_id)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    if not ends:
        process_mode.refuse_others(settings, caller.user_id, project.owner_id)
    await queries.check_release(session, body)
    message = messages.deploy(body, project, caller, task_id, await effective(session, project.id, defaults))
    async with quotas.one_more_task(session, project.owner_id, task_id, counted=not ends):
        await session.commit()
        return replies.started(await (await gateway.get()).start_deploy(message), caller)


@router.post("/tasks/{task_id}/retry", status_code=202)
async def retry_task(
    act: Annotated[Act, audited("task.retry")],
    task_id: Annotated[Identifier, Path()],
    body: TaskRetry,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
    defaults: DefaultsDep,
    quotas: QuotasDep,
    settings: SettingsDep,
) -> StartedTask:
    """Go on where a task has ended early. What is finished is not done again; a second retry is the first one."""
    top = await queries.find_top(session, caller, task_id)
    retrying.check_ended(top)
    project = await find_working_project(session, caller, top.subject.id)
    new_id = ids.retry_task_id(top.id)
    act.tell(task=new_id, agent=body.agent and body.agent.value)
    if (known := await queries.find_started(session, new_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    process_mode.refuse_others(settings, caller.user_id, project.owner_id)
    done = retrying.done_of(await queries.find_engineering(session, top), body)
    chosen = await effective(session, project.id, defaults)
    connected = await gateway.get()
    kind: type[Work] = DeliveryMessage if top.kind == TaskKind.DELIVERY else EngineeringMessage
    earlier = await connected.message_of(top.workflow_id, top.run_id, kind)
    if earlier is None:
        raise retrying.history_gone(top.id)
    message = retrying.message(earlier, body, done, project, caller, chosen)
    message = retrying.in_parts(message, retrying.parts_of(top), await queries.parts_done(session, top), body)
    process_mode.refuse_model(settings, message.agent)
    async with quotas.one_more_task(session, project.owner_id, new_id):
        await session.commit()
        if isinstance(message, DeliveryMessage):
            return replies.started(await connected.start_delivery(message), caller)
        return replies.started(await connected.start_engineering(message), caller)
