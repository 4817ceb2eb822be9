"""`orchestrator settings …`"""

import json
from typing import Annotated

import typer

from cli.client import session
from cli.client.projects import find_project_id
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from cli.terminal.tables import show_setting_versions, show_settings
from contracts.project_settings import SettingList, SettingValue
from runtime.api_client import ApiClient

app = command_group()

OfProject = Annotated[
    str | None,
    typer.Option("--project", "-p", metavar="PROJECT", help="A project (name or id); default: the whole installation."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The setting's name, such as max_rounds.")]


@app.command(epilog=EPILOG)
def show(project: OfProject = None, as_json: AsJson = False) -> None:
    """Show all settings, and where each value comes from."""

    async def work(api: ApiClient, out: Output) -> None:
        items = await api.settings(await find_project_id(api, project))
        out.document(SettingList(items=items))
        show_settings(items, out)

    session.run(work, as_json=as_json)


@app.command("set", epilog=EPILOG)
def choose(
    name: Name,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="A plain word, or JSON such as true, 5 or a list.")],
    project: OfProject = None,
    as_json: AsJson = False,
) -> None:
    """Change a setting. A project's value overrides the installation's."""
    _choose(name, _read(value), project, as_json=as_json)


@app.command(epilog=EPILOG)
def unset(name: Name, project: OfProject = None, as_json: AsJson = False) -> None:
    """Remove a value: the installation's applies again, or else the default."""
    _choose(name, None, project, as_json=as_json)


@app.command(epilog=EPILOG)
def history(name: Name, project: OfProject = None, as_json: AsJson = False) -> None:
    """Show who changed a setting, and when, newest first."""

    async def work(api: ApiClient, out: Output) -> None:
        found = await api.setting_history(await find_project_id(api, project), name)
        out.document(found)
        show_setting_versions(found, out)

    session.run(work, as_json=as_json)


def _choose(name: str, value: SettingValue, project: str | None, *, as_json: bool) -> None:
    async def work(api: ApiClient, out: Output) -> None:
        items = await api.choose_setting(await find_project_id(api, project), name, value)
        out.document(SettingList(items=items))
        show_settings([item for item in items if item.name == name], out)

    session.run(work, as_json=as_json)


def _read(text: str) -> SettingValue:
    """The value: JSON, or otherwise a plain word, such as the name of an agent."""
    try:
        value: SettingValue = json.loads(text)
    except ValueError:
        return text
    return value
