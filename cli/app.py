"""The command tree. Nothing is imported here that a `--help` does not need."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import access, platform, project, question, replay, secret, task, work
from cli.exits import EPILOG

app = typer.Typer(
    name="orchestrator",
    help="A sentence goes in; a verified, deployed service comes back as a URL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)


def _show_version(value: bool) -> None:
    if value:
        from runtime.settings import load_settings

        typer.echo(load_settings().version)
        raise typer.Exit


@app.callback(epilog=EPILOG)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A sentence goes in; a verified, deployed service comes back as a URL."""


app.command(epilog=EPILOG)(platform.up)
app.command(epilog=EPILOG)(platform.down)
app.command(epilog=EPILOG)(platform.status)
app.command(epilog=EPILOG)(platform.demo)
app.command(epilog=EPILOG)(platform.doctor)
app.command(epilog=EPILOG)(platform.web_ui)
app.add_typer(project.app, name="project")
app.add_typer(work.delivery, name="delivery")
app.add_typer(work.engineering, name="engineering")
app.add_typer(work.deploy, name="deploy")
app.add_typer(task.app, name="task")
app.add_typer(question.app, name="question")
app.command(epilog=EPILOG)(question.answer)
app.add_typer(secret.app, name="secret")
app.add_typer(access.user, name="user")
app.add_typer(access.token, name="token")
app.command(epilog=EPILOG)(replay.replay)
