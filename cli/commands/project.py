"""`orchestrator project …`"""

import sys
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project
from cli.commands import memory
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, ProjectArgument, SpecFile, command_group
from cli.terminal.output import Output, clean
from cli.terminal.tables import age, show_open_questions
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import (
    DeploymentDTO,
    ProjectCreate,
    ProjectDeletion,
    ProjectList,
    ProjectResponse,
    ProjectTransfer,
    ProjectUpdate,
    ReleaseHealth,
    ServiceHealth,
)
from contracts.planning import KeptCheckList
from contracts.states import Module
from contracts.wording import counted
from runtime.api_client import ApiClient

app = command_group()


@app.command(epilog=EPILOG)
def create(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Such as `notes` or `my-notes`. The repository and the service get this name."
        ),
    ],
    description: Annotated[str, typer.Option("--description", "-d", help="What the project is for.")] = "",
    title: Annotated[str, typer.Option(help="A title in your own words.")] = "",
    module: Annotated[
        list[Module] | None,
        typer.Option("--module", "-m", help="What it consists of; web needs backend. May be repeated."),
    ] = None,
    spec: SpecFile = None,
    project_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Your own id. Using it again returns the same project.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project. Nothing is built yet."""
    wish = inputs.spec(spec)
    body = inputs.build(
        ProjectCreate,
        id=new_id() if project_id is None else project_id,
        name=inputs.project_name(name),
        title=inputs.text(title, "The title", 200),
        description=inputs.text(description, "The description"),
        modules=module or (wish.modules if wish else [Module.BACKEND]),
        spec=wish,
    )

    async def work(api: ApiClient, out: Output) -> None:
        made = await api.create_project(body)
        out.document(made)
        out.say(f"Project {made.name} ({made.id}) is {made.status.value}.")
        out.advise(f'Next: orchestrator delivery start --project {made.name} "what it should do"')

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_projects(
    include_archived: Annotated[bool, typer.Option("--all", help="Include archived projects.")] = False,
    as_json: AsJson = False,
) -> None:
    """List your projects."""

    async def work(api: ApiClient, out: Output) -> None:
        items = await api.projects(include_archived=include_archived)
        out.document(ProjectList(items=items))
        rows = [(item.name, item.id, item.status.value, age(item.created_at), item.url) for item in items]
        out.table(
            ("NAME", "ID", "STATUS", "AGE", "URL"),
            rows,
            empty="No projects yet. Next: orchestrator project create NAME",
            whole=2,
        )

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Show a project: its status, its repository, what is online, and open questions."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.project((await find_project(api, project)).id)
        out.document(found)
        _describe(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def rename(
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    as_json: AsJson = False,
) -> None:
    """Rename a project. Its repository, service and address keep their names."""
    body = inputs.build(ProjectUpdate, name=inputs.project_name(name))

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        updated = await api.update_project(found.id, body)
        out.document(updated)
        out.say(f"Project {found.name} is now named {updated.name}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def archive(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Archive a project. What is online stays online until `deploy stop` or `deploy remove`."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        updated = await api.update_project(found.id, ProjectUpdate(archived=True))
        out.document(updated)
        out.say(f"Project {updated.name} is {updated.status.value}.")
        out.advise(f"To work on it again: orchestrator project unarchive {updated.name}")
        if updated.url:
            out.advise(f"It is still online at {updated.url}. To end that: orchestrator deploy stop {updated.name}")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def unarchive(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Bring an archived project back into the lists, to work on it again."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        updated = await api.update_project(found.id, ProjectUpdate(archived=False))
        out.document(updated)
        out.say(f"Project {updated.name} is {updated.status.value}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def transfer(
    project: ProjectArgument,
    user_id: Annotated[int, typer.Argument(metavar="USER_ID", help="The new owner, as `user list` shows them.")],
    as_json: AsJson = False,
) -> None:
    """Hand a project over to another person. You keep no rights in it, unless you are an administrator."""
    body = inputs.build(ProjectTransfer, user_id=user_id)

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        updated = await api.transfer_project(found.id, body.user_id)
        out.document(updated)
        out.say(f"Project {updated.name} belongs to user {updated.owner_id}. Its agents' tokens have ended.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def delete(
    project: ProjectArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to delete it.")] = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="The project's name once more, not asked for then.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete a project with its code, tasks and secrets, for good. Its name is free again. You are asked twice."""
    asks = not as_json and sys.stdin.isatty()
    if not asks and not (yes and confirm):
        raise inputs.refuse("This deletes the project for good. Add --yes and --confirm NAME, with the project's name.")

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        deletion = await api.project_deletion(found.id)
        if deletion.blocked_by:
            raise OrchestratorError(ErrorCode.CONFLICT, " ".join(deletion.blocked_by))
        _tell_deletion(deletion, out, "This goes")
        if not yes:
            typer.confirm(f"Delete the project {clean(found.name)} for good?", abort=True)
        deleted = await api.delete_project(found.id, confirm or typer.prompt("Type its name to confirm"))
        out.document(deleted)
        out.say(f"Project {deleted.name} is deleted; its name is free.")
        if deleted.stays != deletion.stays:
            _tell_deletion(deleted, out, "Gone")

    session.run(work, as_json=as_json)


def _tell_deletion(deletion: ProjectDeletion, out: Output, title: str) -> None:
    out.say(f"{title}: {', '.join(_goes(deletion)) or 'nothing'}.")
    out.say(f"This stays: {'; '.join(deletion.stays)}.")


def _goes(deletion: ProjectDeletion) -> list[str]:
    many = {"repository": "repositories"}
    found = {what: count for what, count in deletion.goes.items() if count}
    return [counted(count, what.removesuffix("s"), many.get(what, what)) for what, count in found.items()]


def _links(release: DeploymentDTO, url: str | None) -> list[tuple[str, object]]:
    """The services that are reached elsewhere than at the project's address."""
    return [(f"Link of {service}", link) for service, link in release.links.items() if link != url]


def _health(health: ReleaseHealth) -> str:
    """How the services were when they were last looked at."""
    return "; ".join(_service_health(name, one) for name, one in health.services.items())


def _service_health(name: str, health: ServiceHealth) -> str:
    restarts = f", {counted(health.restarts, 'restart')}" if health.restarts else ""
    why = f": {' '.join((health.error or '').split())[:200]}" if health.error else ""
    return f"{name} {health.state} since {health.since:%Y-%m-%d %H:%M} UTC{restarts}{why}"


checks = command_group()
app.add_typer(checks, name="checks", help="See what the project has promised, and give up a promise.")


@checks.command("list", epilog=EPILOG)
def list_checks(
    project: ProjectArgument,
    dropped: Annotated[bool, typer.Option("--all", help="Include checks that were dropped.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the checks that run at every change of a project."""

    async def work(api: ApiClient, out: Output) -> None:
        items = await api.checks((await find_project(api, project)).id, dropped=dropped)
        out.document(KeptCheckList(items=items))
        rows = [
            (one.id, one.title, one.words or one.sentence, age(one.kept_at), "dropped" if one.dropped_at else "kept")
            for one in items
        ]
        out.table(
            ("CHECK", "TITLE", "ASKED FOR", "AGE", "STATE"),
            rows,
            empty="Nothing is checked yet. Checks are kept when what they show was met.",
            whole=1,
        )

    session.run(work, as_json=as_json)


@checks.command(epilog=EPILOG)
def drop(
    project: ProjectArgument,
    check: Annotated[str, typer.Argument(metavar="CHECK", help="Id of the check, as `list` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Give up a promise: later changes may break it."""
    wanted = inputs.identifier(check, "CHECK")

    async def work(api: ApiClient, out: Output) -> None:
        gone = await api.drop_check((await find_project(api, project)).id, wanted)
        out.document(gone)
        out.say(f"{gone.id} is not checked any more: {gone.words or gone.sentence}")

    session.run(work, as_json=as_json)


app.add_typer(memory.app, name="memory", help="See and edit what agents know of the project.")


def _describe(found: ProjectResponse, out: Output) -> None:
    project, release = found.project, found.active_release
    out.facts(
        [
            ("Project", project.name),
            ("Id", project.id),
            ("Slug", project.slug),
            ("Title", project.title),
            ("Description", project.description),
            ("Status", project.status.value),
            ("Modules", ", ".join(module.value for module in project.modules)),
            ("Owner", project.owner_id),
            ("Repository", project.repository),
            ("URL", project.url),
            ("Serving", project.serving),
            *(_links(release, project.url) if release else []),
            ("Health", _health(release.health) if release and release.health else None),
            ("Clone", f"git clone {project.clone_url}" if project.clone_url else None),
            ("", "(any user name; your API key is the password)" if project.clone_url else None),
            ("Age", age(project.created_at)),
            ("Release", f"{release.id} (number {release.number}, commit {release.commit[:12]})" if release else None),
        ]
    )
    show_open_questions(found.open_questions, out)
