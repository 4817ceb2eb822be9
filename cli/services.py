"""Deployed services, as far as the whole host is concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base import new_id

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform


async def stop_all(platform: Platform, out: Output) -> list[str]:
    """Stop what every project has live, one after the other; returns the projects' names."""
    from cli.watching import appeared, follow
    from contracts.nouns import DeployStart
    from contracts.states import DeployAction

    stopped = []
    # An archived project may still serve: archiving only takes it out of the lists.
    for project in await platform.api.projects(include_archived=True):
        if (await platform.api.project(project.id)).active_release is None:
            continue
        body = DeployStart(request_id=new_id(), project_id=project.id, action=DeployAction.STOP)
        started = await platform.start_deploy(body)
        out.say(f"Stopping the service of {project.name} ({started.task_id}).")
        await appeared(platform.api, started)
        await follow(platform.api, started.task_id, out)
        stopped.append(project.name)
    return stopped
