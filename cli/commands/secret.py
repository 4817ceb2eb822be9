"""`orchestrator secret …`: values go in and never come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import EPILOG
from cli.options import AsJson, ProjectArgument, ValueFile

if TYPE_CHECKING:
    from cli.output import Output
    from cli.platform import Platform

app = typer.Typer(help="Secrets of a project: write-only.", no_args_is_help=True, epilog=EPILOG)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as TELEGRAM_BOT_TOKEN.")]


@app.command("set", epilog=EPILOG)
def set_secret(
    project: ProjectArgument,
    name: Name,
    value: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    value_file: ValueFile = None,
    as_json: AsJson = False,
) -> None:
    """Store a value, read from a hidden prompt, standard input or --value-file. Setting it again replaces it."""
    from cli import inputs, session
    from cli.lookup import find_project
    from contracts.nouns import SecretWrite

    if value:
        raise inputs.refuse(
            "A value among the arguments can be read by everybody in the process list; nothing was stored. "
            "Type it at the prompt, pipe it in, or use --value-file. Replace the value if it was a real one."
        )
    checked = _checked_name(name)
    secret = inputs.build(SecretWrite, value=inputs.secret_value(value_file, f"Value of {checked}")).value

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        stored = await platform.api.set_secret(found.id, checked, secret)
        out.document(stored)
        out.say(f"Stored {stored.name} of {found.name} as {stored.ref}.")

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_secrets(project: ProjectArgument, as_json: AsJson = False) -> None:
    """List names, never values."""
    from cli import session
    from cli.lookup import find_project
    from contracts.nouns import SecretList

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        secrets = await platform.api.secrets(found.id)
        out.document(SecretList(items=secrets))
        rows = [
            (item.name, item.source, item.updated_at.astimezone().isoformat(timespec="seconds")) for item in secrets
        ]
        out.table(("NAME", "SOURCE", "CHANGED"), rows, empty=f"{found.name} has no secrets.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def delete(project: ProjectArgument, name: Name, as_json: AsJson = False) -> None:
    """Delete a secret; what runs now keeps its value until the next deploy."""
    from cli import session
    from cli.lookup import find_project

    checked = _checked_name(name)

    async def work(platform: Platform, out: Output) -> None:
        found = await find_project(platform.api, project)
        await platform.api.delete_secret(found.id, checked)
        out.document({"deleted": checked, "project_id": found.id})
        out.say(f"Deleted {checked} of {found.name}.")

    session.run(work, as_json=as_json)


def _checked_name(name: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from cli import inputs
    from contracts.project_spec import SecretName

    try:
        return TypeAdapter(SecretName).validate_python(name)
    except ValidationError:
        raise inputs.refuse(
            "NAME is upper case with digits and underscores, at most 100 characters, such as TELEGRAM_BOT_TOKEN."
        ) from None
