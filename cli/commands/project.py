"""`orchestrator project …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AsJson, ProjectArgument, SpecFile
from contracts.states import Module

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform
    from contracts.nouns import ProjectResponse

app = typer.Typer(help="Projects: what is being built and what runs.", no_args_is_help=True, epilog=EPILOG)


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(help="Kebab-case, such as `notes`: becomes repository and service name.")],
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    title: Annotated[str, typer.Option(help="A title for people.")] = "",
    module: Annotated[list[Module] | None, typer.Option("--module", "-m", help="Repeat for several.")] = None,
    spec: SpecFile = None,
    project_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Your own id: repeating it is the same project.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project. Nothing is built yet."""
    from cli import inputs, session, starting
    from contracts.base import new_id
    from contracts.nouns import ProjectCreate

    wish = starting.read_spec(spec)
    body = inputs.build(
        ProjectCreate,
        id=new_id() if project_id is None else project_id,
        name=inputs.project_name(name),
        title=inputs.text(title, "The title", 200),
        description=inputs.text(description, "The description"),
        modules=module or (wish.modules if wish else [Module.BACKEND]),
        spec=wish,
    )

    async def work(platform: Platform, out: Output) -> None:
        made = await platform.api.create_project(body)
        out.document(made)
        out.say(f"Project {made.name} ({made.id}) is {made.status.value}.")
        out.say(f'Next: orchestrator delivery start --project {made.name} "what it should do"')

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_projects(
    include_archived: Annotated[bool, typer.Option("--all", help="Archived ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List your projects."""
    from cli import session
    from contracts.nouns import ProjectList
    from contracts.states import ProjectStatus

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.projects(include_archived=include_archived)
        items = [item for item in found if include_archived or item.status is not ProjectStatus.ARCHIVED]
        out.document(ProjectList(items=items))
        rows = [(item.name, item.id, item.status.value, item.url) for item in items]
        out.table(
            ("NAME", "ID", "STATUS", "URL"),
            rows,
            empty="No projects yet. Next: orchestrator project create NAME",
            whole=2,
        )

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Show a project: status, repository, what runs, open questions."""
    from cli import session
    from cli.lookup import find_project

    async def work(platform: Platform, out: Output) -> None:
        found = await platform.api.project((await find_project(platform.api, project)).id)
        out.document(found)
        _describe(found, out)

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def archive(project: ProjectArgument, as_json: AsJson = False) -> None:
    """Archive a project; what is deployed keeps running (see `deploy stop`). A second call changes nothing."""
    from cli import session
    from cli.lookup import find_project
    from contracts.nouns import ProjectUpdate

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        updated = await platform.api.update_project(found.id, ProjectUpdate(archived=True))
        out.document(updated)
        out.say(f"Project {updated.name} is {updated.status.value}.")

    session.run(work, as_json=as_json)


def _describe(found: ProjectResponse, out: Output) -> None:
    project, release = found.project, found.active_release
    out.facts(
        [
            ("Project", project.name),
            ("Id", project.id),
            ("Title", project.title),
            ("Description", project.description),
            ("Status", project.status.value),
            ("Modules", ", ".join(module.value for module in project.modules)),
            ("Owner", project.owner_id),
            ("Repository", project.repository),
            ("URL", project.url),
            ("Release", f"{release.id} (number {release.number}, commit {release.commit[:12]})" if release else None),
        ]
    )
    for question in found.open_questions:
        out.say(f"Open question {question.id}: {question.text}")
        out.say(f"Next: orchestrator answer {question.id}")
