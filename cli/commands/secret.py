"""`orchestrator secret …`: values go in; only a generated one comes out, once, for its owner."""

from pathlib import Path
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project
from cli.client.watching import known_task
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, ProjectArgument, ValueFile, command_group
from cli.terminal.output import Output
from contracts.nouns import PlatformSecretList, ProjectResponse, SecretList, SecretWrite
from runtime.api_client import ApiClient

app = command_group()
_PROVIDERS = "TIME4VPS_"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The secret's name, such as TELEGRAM_BOT_TOKEN.")]


Platform = Annotated[
    bool, typer.Option("--platform", help="The installation's: only NAME follows, such as ANTHROPIC_API_KEY.")
]


@app.command("set", epilog=EPILOG)
def set_secret(
    project: ProjectArgument,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The secret's name.")] = None,
    value: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    value_file: ValueFile = None,
    platform: Platform = False,
    as_json: AsJson = False,
) -> None:
    """Store a secret, or replace it. The value is typed at a prompt, piped in or read from --value-file."""
    if platform and not value and name is None:
        _set_platform_secret(project, value_file, as_json=as_json)
        return
    if name is None:
        raise inputs.refuse("Name the project and the secret, or with --platform only the secret.")
    if value or platform:
        raise inputs.refuse(
            "Nothing was stored: everyone on this machine can read arguments in the process list. "
            "Type the value at the prompt, pipe it in or use --value-file. If it is a real secret, change it first."
        )
    checked = inputs.secret_name(name)
    secret = inputs.build(SecretWrite, value=inputs.secret_value(value_file, f"Value of {checked}")).value

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        known = {one.name for one in await api.secrets(found.id)}
        stored = await api.set_secret(found.id, checked, secret)
        out.document(stored)
        out.say(f"Stored {stored.name} of {found.name} as {stored.ref}.")
        if secret.get_secret_value().endswith("\n"):
            out.say("Its value ends with a line end, as the file does. A token must not: then store it without one.")
        if not out.as_json:
            await _tell_how_it_applies(api, await api.project(found.id), checked, out, replaced=checked in known)

    session.run(work, as_json=as_json)


def _set_platform_secret(name: str, value_file: Path | None, *, as_json: bool) -> None:
    checked = inputs.secret_name(name)
    secret = inputs.build(SecretWrite, value=inputs.secret_value(value_file, f"Value of {checked}")).value

    async def work(api: ApiClient, out: Output) -> None:
        out.document(PlatformSecretList(items=await api.set_platform_secret(checked, secret)))
        if checked.startswith(_PROVIDERS):
            out.say(f"Stored {checked}. Only the Temporal workers of `infra` use it, and nobody can read it back.")
            return
        out.say(f"Stored {checked}. Only the model proxy uses it, and nobody can read it back.")
        out.advise("If the model proxy does not run yet, this starts it: orchestrator up --detach")

    session.run(work, as_json=as_json)


async def _tell_how_it_applies(
    api: ApiClient, found: ProjectResponse, name: str, out: Output, *, replaced: bool
) -> None:
    """A running service has the values with which it was started."""
    asks = [question for question in found.open_questions if name in question.secret_names]
    if asks:
        out.advise(
            f"{await known_task(api, asks[0].task_id)} goes on once it has everything that it asks for: "
            f"orchestrator question show {asks[0].id}"
        )
    elif found.active_release is not None:
        now = (
            f"What runs keeps the old value of {name}, if it uses it," if replaced else f"Nothing that runs has {name}"
        )
        out.advise(f"{now} until the next deploy: orchestrator deploy start {found.project.name}")
    else:
        out.say("Nothing of this project is online; it is there for the next deploy.")


@app.command(epilog=EPILOG)
def show(project: ProjectArgument, name: Name, as_json: AsJson = False) -> None:
    """Show a generated secret, once, to the project's owner. What a person stored is never shown."""
    checked = inputs.secret_name(name)

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        shown = await api.show_secret(found.id, checked)
        out.document(shown)
        out.say(shown.value)
        out.advise(
            f"It is not shown again. To have one that you know: `orchestrator secret set {found.name} {checked}`, "
            f"then `orchestrator deploy start {found.name}`"
        )

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_secrets(project: ProjectArgument, as_json: AsJson = False) -> None:
    """List the names of a project's secrets, never their values."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        secrets = await api.secrets(found.id)
        out.document(SecretList(items=secrets))
        rows = [
            (item.name, item.source, item.updated_at.astimezone().isoformat(timespec="seconds")) for item in secrets
        ]
        out.table(("NAME", "SOURCE", "CHANGED"), rows, empty=f"{found.name} has no secrets.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def delete(project: ProjectArgument, name: Name, as_json: AsJson = False) -> None:
    """Delete a secret. A running service keeps its value until the next deploy."""
    checked = inputs.secret_name(name)

    async def work(api: ApiClient, out: Output) -> None:
        found = await find_project(api, project)
        await api.delete_secret(found.id, checked)
        out.document({"deleted": checked, "project_id": found.id})
        out.say(f"Deleted {checked} of {found.name}.")
        if not out.as_json and (await api.project(found.id)).active_release is not None:
            out.say(f"What runs keeps its value, if it uses it; a deploy that needs {checked} asks for it.")

    session.run(work, as_json=as_json)
