"""Starting work. The workflow's start is the single write, so these routes store nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth import Caller, agents_may
from api.database import Session
from api.gateway import GatewayDep
from api.problems import permanent
from api.settings.defaults import DefaultsDep
from api.settings.queries import effective
from api.visibility import Right, find_project, find_working_project
from api.work import messages, queries, replies
from contracts.errors import ErrorCode
from contracts.nouns import DeliveryStart, DeployStart, EngineeringStart, StartedTask
from contracts.states import DeployAction, TaskKind

router = APIRouter(tags=["work"])

MayEngineer = Annotated[Caller, Depends(agents_may("engineering.start"))]
MayDeliver = Annotated[Caller, Depends(agents_may("engineering.start"))]
MayDeploy = Annotated[Caller, Depends(agents_may("deploy.start"))]


@router.post("/engineering", status_code=202)
async def start_engineering(
    body: EngineeringStart, session: Session, caller: MayEngineer, gateway: GatewayDep, defaults: DefaultsDep
) -> StartedTask:
    """A wish to a verified commit. The same request id for the same project is the same task."""
    project = await find_working_project(session, caller, body.project_id)
    task_id = messages.task_id(TaskKind.ENGINEERING, body)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    message = messages.engineering(body, project, caller, task_id, await effective(session, project.id, defaults))
    # Here and below: nothing more is read, so no database connection is held while Temporal is asked.
    await session.commit()
    return replies.started(await (await gateway.get()).start_engineering(message), caller)


@router.post("/deliveries", status_code=202)
async def start_delivery(
    body: DeliveryStart, session: Session, caller: MayDeliver, gateway: GatewayDep, defaults: DefaultsDep
) -> StartedTask:
    """A wish to a live URL: engineering, then deploy. The same request id for the same project is the same task."""
    if not caller.may("deploy.start"):
        raise permanent(ErrorCode.NOT_ALLOWED, "This token may not do that; it also needs `deploy.start`.")
    project = await find_working_project(session, caller, body.project_id)
    task_id = messages.task_id(TaskKind.DELIVERY, body)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    message = messages.delivery(body, project, caller, task_id, await effective(session, project.id, defaults))
    await session.commit()
    return replies.started(await (await gateway.get()).start_delivery(message), caller)


@router.post("/deploys", status_code=202)
async def start_deploy(
    body: DeployStart, session: Session, caller: MayDeploy, gateway: GatewayDep, defaults: DefaultsDep
) -> StartedTask:
    """Deploy, roll back, stop, restart or remove. The same request id for the same project is the same task."""
    # What an archived project left running is still served: it can be ended, and brought back when it hangs.
    if body.action in {DeployAction.STOP, DeployAction.RESTART, DeployAction.REMOVE}:
        project = await find_project(session, caller, body.project_id, Right.ACT)
    else:
        project = await find_working_project(session, caller, body.project_id)
    messages.check_deploy(caller, body)
    task_id = messages.task_id(TaskKind.DEPLOY, body)
    if (known := await queries.find_started(session, task_id)) is not None:
        return replies.joined_task(known, gateway, caller)
    await queries.check_release(session, body)
    message = messages.deploy(body, project, caller, task_id, await effective(session, project.id, defaults))
    await session.commit()
    return replies.started(await (await gateway.get()).start_deploy(message), caller)
