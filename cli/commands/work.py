"""`orchestrator delivery|engineering|deploy …`: everything that starts work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AsJson, ProjectArgument, ProjectOption, RequestId, SpecFile, Watch
from contracts.states import AgentKind, DeployAction

if TYPE_CHECKING:
    from pathlib import Path

    from cli.output import Output
    from cli.platform import Platform
    from contracts.nouns import DeliveryStart, DeployStart, EngineeringStart, ProjectDTO

delivery = typer.Typer(help="One wish to one URL: engineering, then deploy.", no_args_is_help=True, epilog=EPILOG)
engineering = typer.Typer(help="One wish to one verified commit.", no_args_is_help=True, epilog=EPILOG)
deploy = typer.Typer(help="One commit to one live URL, and what runs there.", no_args_is_help=True, epilog=EPILOG)

Wish = Annotated[str, typer.Argument(metavar="WISH", help="What it should do, in a sentence.")]
Title = Annotated[str | None, typer.Option(help="A short title for people.")]
Agent = Annotated[AgentKind | None, typer.Option(help="Which agent works; without a model key a scripted one.")]
Rounds = Annotated[int, typer.Option("--max-rounds", min=1, max=10, help="Repair rounds before a person is asked.")]
Approval = Annotated[bool, typer.Option("--approve", help="Ask for an approval before it goes live.")]


@delivery.command("start", epilog=EPILOG)
def start_delivery(
    project: ProjectOption,
    wish: Wish = "",
    spec: SpecFile = None,
    title: Title = None,
    agent: Agent = None,
    max_rounds: Rounds = 3,
    approve: Approval = False,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Start a delivery from a sentence, a spec, or both."""
    from cli import inputs, session, starting
    from cli.lookup import find_project
    from contracts.nouns import DeliveryStart

    fields = _wish_fields(wish, spec, title, agent, max_rounds, request_id)

    async def work(platform: Platform, out: Output) -> int:
        found = await find_project(platform.api, project)
        _check_something_to_do(found, wish, spec)
        body: DeliveryStart = inputs.build(DeliveryStart, project_id=found.id, require_approval=approve, **fields)
        return await starting.start(platform, out, lambda: platform.start_delivery(body), watch=watch)

    return session.run(work, as_json=as_json)


@engineering.command("start", epilog=EPILOG)
def start_engineering(
    project: ProjectOption,
    wish: Wish = "",
    spec: SpecFile = None,
    title: Title = None,
    agent: Agent = None,
    max_rounds: Rounds = 3,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Start engineering from a sentence, a spec, or both."""
    from cli import inputs, session, starting
    from cli.lookup import find_project
    from contracts.nouns import EngineeringStart

    fields = _wish_fields(wish, spec, title, agent, max_rounds, request_id)

    async def work(platform: Platform, out: Output) -> int:
        found = await find_project(platform.api, project)
        _check_something_to_do(found, wish, spec)
        body: EngineeringStart = inputs.build(EngineeringStart, project_id=found.id, **fields)
        return await starting.start(platform, out, lambda: platform.start_engineering(body), watch=watch)

    return session.run(work, as_json=as_json)


@engineering.command("status", epilog=EPILOG)
def engineering_status(project: ProjectArgument, as_json: AsJson = False) -> None:
    """The newest engineering work of a project."""
    from cli import session
    from cli.lookup import find_project
    from cli.tables import show_tasks
    from contracts.nouns import TaskList
    from contracts.states import TaskKind

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        tasks = [task for task in await platform.api.tasks(project_id=found.id) if task.kind is TaskKind.ENGINEERING]
        out.document(TaskList(items=tasks))
        show_tasks(tasks, out)

    session.run(work, as_json=as_json)


@deploy.command("start", epilog=EPILOG)
def start_deploy(
    project: ProjectArgument,
    commit: Annotated[str | None, typer.Option(help="Full commit id; without it the newest published one.")] = None,
    approve: Approval = False,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Deploy a commit. The same commit twice at once is one release; a newer one waits for the running one."""
    extra = {"commit": commit, "require_approval": approve}
    return _act(project, DeployAction.DEPLOY, request_id, watch=watch, as_json=as_json, **extra)


@deploy.command(epilog=EPILOG)
def rollback(
    project: ProjectArgument,
    release: Annotated[str | None, typer.Option(metavar="RELEASE", help="Without it: the one before.")] = None,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Return to a recorded release, by its exact commit."""
    return _act(project, DeployAction.ROLLBACK, request_id, watch=watch, as_json=as_json, release_id=release)


@deploy.command(epilog=EPILOG)
def stop(project: ProjectArgument, request_id: RequestId = None, watch: Watch = False, as_json: AsJson = False) -> int:
    """Stop what is deployed; `deploy restart` brings it back."""
    return _act(project, DeployAction.STOP, request_id, watch=watch, as_json=as_json)


@deploy.command(epilog=EPILOG)
def restart(
    project: ProjectArgument, request_id: RequestId = None, watch: Watch = False, as_json: AsJson = False
) -> int:
    """Restart what is deployed."""
    return _act(project, DeployAction.RESTART, request_id, watch=watch, as_json=as_json)


@deploy.command(epilog=EPILOG)
def remove(
    project: ProjectArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed without a terminal.")] = False,
    request_id: RequestId = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> int:
    """Remove what is deployed from its server, with its data there. Repository and history stay."""
    _confirm(project, yes=yes, as_json=as_json)
    return _act(project, DeployAction.REMOVE, request_id, watch=watch, as_json=as_json)


@deploy.command("status", epilog=EPILOG)
def deploy_status(project: ProjectArgument, as_json: AsJson = False) -> None:
    """The releases of a project, and where it is live."""
    from cli import session
    from cli.lookup import find_project
    from contracts.nouns import DeploymentList

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        releases = sorted(await platform.api.releases(found.id), key=lambda release: -release.number)
        out.document(DeploymentList(items=releases))
        rows = [
            (item.number, item.id, item.state.value, item.commit[:12], item.url, item.error_code) for item in releases
        ]
        empty = f"Nothing is deployed yet. Next: orchestrator deploy start {found.name}"
        out.table(("NO", "RELEASE", "STATE", "COMMIT", "URL", "ERROR"), rows, empty=empty, whole=2)

    session.run(work, as_json=as_json)


def _act(
    project: str, action: DeployAction, given_id: str | None, *, watch: bool, as_json: bool, **extra: object
) -> int:
    from cli import inputs, session, starting
    from cli.lookup import find_project
    from contracts.nouns import DeployStart

    request = starting.request_id(given_id)

    async def work(platform: Platform, out: Output) -> int:
        found = await find_project(platform.api, project)
        body: DeployStart = inputs.build(DeployStart, request_id=request, project_id=found.id, action=action, **extra)
        return await starting.start(platform, out, lambda: platform.start_deploy(body), watch=watch)

    return session.run(work, as_json=as_json)


def _wish_fields(
    wish: str, spec: Path | None, title: str | None, agent: AgentKind | None, max_rounds: int, given_id: str | None
) -> dict[str, object]:
    from cli import inputs, starting

    return {
        "request_id": starting.request_id(given_id),
        "wish": inputs.text(wish, "The wish"),
        "spec": starting.read_spec(spec),
        "title": None if title is None else inputs.text(title, "The title", 200),
        "agent": agent,
        "max_rounds": max_rounds,
    }


def _check_something_to_do(project: ProjectDTO, wish: str, spec: Path | None) -> None:
    from cli import inputs

    if not wish.strip() and spec is None and project.spec is None and not project.description.strip():
        raise inputs.refuse('Say what it should do: a sentence, such as "A service for notes", or --spec FILE.')


def _confirm(project: str, *, yes: bool, as_json: bool) -> None:
    import sys

    from cli import inputs

    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise inputs.refuse("This removes a service with its data; say --yes to do it without being asked.")
    from cli.output import clean

    typer.confirm(f"Remove {clean(project)} from its server, with its data there?", abort=True)
