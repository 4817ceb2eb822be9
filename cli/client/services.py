"""Deployed services, all of them together."""

import asyncio

from cli.client.watching import appeared, follow
from cli.terminal.output import Output
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeployStart, ProjectDTO, StartedTask
from contracts.states import DeployAction, TaskKind, TaskState
from runtime.api_client import ApiClient

_LOOK_AGAIN_S = 1.0


async def stop_all(api: ApiClient, out: Output) -> list[str]:
    """Stop what every project has online, one after the other; returns the projects' names.

    A deploy that waits for a person would hold up the stop behind it for as long as nobody answers. It is cancelled,
    and said to be.
    """
    stopped = []
    # An archived project may still serve: archiving only takes it out of the lists.
    for project in await api.projects(include_archived=True):
        if (await api.project(project.id)).active_release is None:
            continue
        await _stop(api, project, out)
        stopped.append(project.name)
    return stopped


async def _stop(api: ApiClient, project: ProjectDTO, out: Output) -> None:
    await _cancel_waiting(api, project, out)
    body = DeployStart(request_id=new_id(), project_id=project.id, action=DeployAction.STOP)
    started = await api.start_deploy(body)
    out.say(f"Stopping the service of {project.name} ({started.task_id}).")
    stopping = asyncio.ensure_future(_followed(api, started, out))
    try:
        while not (await asyncio.wait([stopping], timeout=_LOOK_AGAIN_S))[0]:
            # One that ran before this may have begun to wait since.
            await _cancel_waiting(api, project, out)
        await stopping
    finally:
        stopping.cancel()


async def _followed(api: ApiClient, started: StartedTask, out: Output) -> None:
    await appeared(api, started)
    await follow(api, started.task_id, out)


async def _cancel_waiting(api: ApiClient, project: ProjectDTO, out: Output) -> None:
    for task in await api.tasks(project_id=project.id, state=TaskState.WAITING.value):
        if task.kind is not TaskKind.DEPLOY:
            continue
        try:
            await api.cancel_task(task.id)
        except OrchestratorError as error:
            if error.code is not ErrorCode.WORKFLOW_NOT_RUNNING:
                raise
            continue
        out.advise(
            f"{task.id} of {project.name} waited for a person and is cancelled, so that its service can be stopped. "
            f"To have it again: orchestrator deploy start {project.id}"
        )
