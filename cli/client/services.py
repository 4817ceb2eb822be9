"""Deployed services, all of them together."""

from cli.client.watching import appeared, follow
from cli.terminal.output import Output
from contracts.base import new_id
from contracts.nouns import DeployStart
from contracts.states import DeployAction
from runtime.api_client import ApiClient


async def stop_all(api: ApiClient, out: Output) -> list[str]:
    """Stop what every project has online, one after the other; returns the projects' names."""
    stopped = []
    # An archived project may still serve: archiving only takes it out of the lists.
    for project in await api.projects(include_archived=True):
        if (await api.project(project.id)).active_release is None:
            continue
        body = DeployStart(request_id=new_id(), project_id=project.id, action=DeployAction.STOP)
        started = await api.start_deploy(body)
        out.say(f"Stopping the service of {project.name} ({started.task_id}).")
        await appeared(api, started)
        await follow(api, started.task_id, out)
        stopped.append(project.name)
    return stopped
