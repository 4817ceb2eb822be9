"""`orchestrator deploy …`"""

import sys
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project
from cli.client.starting import tell_started
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import Approval, AsJson, ProjectArgument, RequestId, Watch, command_group
from cli.terminal.output import Output, clean
from cli.terminal.tables import age, show_open_questions
from contracts.nouns import DeploymentDTO, DeploymentList, DeployStart
from contracts.rollback import RETURNABLE
from contracts.states import DeployAction
from contracts.wording import counted
from runtime.api_client import ApiClient

app = command_group()


@app.command(epilog=EPILOG)
def start(
    project: ProjectArgument,
    commit: Annotated[str | None, typer.Option(help="Full commit id; default: the newest on the main branch.")] = None,
    approve: Approval = None,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Put a commit online. While one is being deployed, the same commit joins it and another one waits."""
    extra = {"commit": commit, "require_approval": approve}
    return _act(project, DeployAction.DEPLOY, request_id, watch=watch, as_json=as_json, **extra)


@app.command(epilog=EPILOG)
def rollback(
    project: ProjectArgument,
    release: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="The release to go back to; default: the previous one.")
    ] = None,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Go back to an earlier release."""
    return _act(project, DeployAction.ROLLBACK, request_id, watch=watch, as_json=as_json, release_id=release)


@app.command(epilog=EPILOG)
def stop(project: ProjectArgument, request_id: RequestId = None, watch: Watch = False, as_json: AsJson = False) -> int:
    """Take the service offline. `deploy restart` brings it back."""
    return _act(project, DeployAction.STOP, request_id, watch=watch, as_json=as_json)


@app.command(epilog=EPILOG)
def restart(
    project: ProjectArgument, request_id: RequestId = None, watch: Watch = False, as_json: AsJson = False
) -> int:
    """Restart the service."""
    return _act(project, DeployAction.RESTART, request_id, watch=watch, as_json=as_json)


@app.command(epilog=EPILOG)
def remove(
    project: ProjectArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Remove the service and its releases from the server. Data, repository and history are kept."""
    _confirm(project, yes=yes, as_json=as_json)
    return _act(project, DeployAction.REMOVE, request_id, watch=watch, as_json=as_json)


@app.command(epilog=EPILOG)
def status(project: ProjectArgument, as_json: AsJson = False) -> None:
    """List a project's releases, newest first, with their URLs."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        releases = sorted(await api.releases(found.id), key=lambda release: -release.number)
        out.document(DeploymentList(items=releases))
        rows = [
            (
                item.number,
                item.id,
                _state(item),
                age(item.created_at),
                item.commit[:12],
                item.url,
                item.error_code,
                _rollback(item),
            )
            for item in releases
        ]
        empty = f"Nothing is online yet. Next: orchestrator deploy start {found.name}"
        out.table(("NO", "RELEASE", "STATE", "AGE", "COMMIT", "URL", "ERROR", "ROLLBACK"), rows, empty=empty, whole=2)
        if not out.as_json:
            show_open_questions(await api.questions(project_id=found.id), out)

    session.run(work, as_json=as_json)


def _rollback(release: DeploymentDTO) -> str | None:
    """Whether a rollback can go back to it; nothing for what is live or never was."""
    if release.state not in RETURNABLE:
        return None
    return "possible" if release.can_return else "too old"


def _state(release: DeploymentDTO) -> str:
    """The state of a release, with what is wrong with its services now."""
    services = release.health.services if release.health else {}
    bad = [name for name, one in services.items() if one.state == "unhealthy"]
    restarts = sum(one.restarts for one in services.values())
    said = [f"unhealthy: {', '.join(bad)}"] if bad else []
    said += [counted(restarts, "restart")] if restarts else []
    return ", ".join([release.state.value, *said])


def _act(
    project: str, action: DeployAction, given_id: str | None, *, watch: bool, as_json: bool, **extra: object
) -> int:
    request = inputs.request_id(given_id)

    async def work(api: ApiClient, out: Output) -> int:
        found = await find_project(api, project)
        body = inputs.build(DeployStart, request_id=request, project_id=found.id, action=action, **extra)
        return await tell_started(api, out, api.start_deploy(body), watch=watch)

    return session.run(work, as_json=as_json)


def _confirm(project: str, *, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise inputs.refuse("This removes the service and its releases from the server. Add --yes to confirm.")
    typer.confirm(f"Remove {clean(project)} and its releases from the server?", abort=True)
