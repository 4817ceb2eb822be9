"""The command tree. Its table is all that `--help` reads: only the module of the command that runs is imported."""

from __future__ import annotations

import importlib
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from cli.terminal.exits import EPILOG

COMMANDS: Final = {
    "up": ("cli.host.up", "Start the platform on this machine. Parts that already run keep running."),
    "down": ("cli.host.down", "Stop the platform on this machine. Deployed services keep running."),
    "status": ("cli.host.status", "Show what is running, what is wrong, and what waits for you."),
    "demo": ("cli.demo.demo", "Turn one sentence into a running service, showing every step."),
    "doctor": ("cli.host.doctor", "Check everything the platform needs, and say how to fix what is missing."),
    "boot-unit": ("cli.host.boot_unit", "Print a systemd unit that starts this platform with the machine."),
    "web-ui": ("cli.commands.web_ui", "Print a link that opens the Temporal Web UI in your browser."),
    "server": ("cli.commands.server", "Add, show, reserve and remove the machines that services run on."),
    "project": ("cli.commands.project", "Create, list, show, rename, archive, hand over and delete projects."),
    "delivery": ("cli.commands.delivery", "Turn a sentence into a running service: engineering, then deploy."),
    "engineering": ("cli.commands.engineering", "Turn a sentence into a tested commit."),
    "deploy": ("cli.commands.deploy", "Put a commit online, and control what is online."),
    "task": ("cli.commands.task", "List, watch and cancel work, and read its logs."),
    "worker": ("cli.commands.worker", "Make agents that you talk to, and steer, stop and read agents that work."),
    "agent": ("cli.host.agent_login", "Log an agent in with your own account, for your own agent workers."),
    "question": ("cli.commands.question", "See what the platform asks you."),
    "answer": ("cli.commands.answer", "Answer a question. The first valid answer counts."),
    "settings": ("cli.commands.settings", "Change how the platform works, for one project or for all."),
    "cost": ("cli.commands.cost", "Show what agents have cost: by project, task, agent, model or role."),
    "secret": ("cli.commands.secret", "Store a project's secrets. What you stored cannot be read back."),
    "user": ("cli.commands.user", "Add, list, block and remove the people who may use this platform."),
    "token": ("cli.commands.agent_token", "Create short-lived tokens for agents."),
    "credential": ("cli.commands.credential", "List and end keys, tokens, links and logins."),
    "audit": ("cli.commands.audit", "See who did what, for administrators."),
    "backup": ("cli.host.backup", "Back up this platform, check its backups, and restore one."),
    "replay": ("cli.host.replay", "Check recorded histories against the installed workflow code."),
}
"""Name: module and help. A module has an `app` with subcommands, or a function with the name of the command."""


class Commands(TyperGroup):
    """The whole program: each command is a name with its help until it is opened."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - Typer's own signature
        super().__init__(**settings)
        for name, (_, text) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text))

    def open(self, name: str) -> None:
        """Import a command's module; a name that is not in the table is left for Typer to refuse."""
        if name in COMMANDS:
            self.add_command(_imported(name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - the types are Typer's own
        self.open(args[0])
        return super().resolve_command(ctx, args)


def _imported(name: str) -> TyperCommand | TyperGroup:
    place, text = COMMANDS[name]
    module = importlib.import_module(place)
    if (app := getattr(module, "app", None)) is not None:
        group = get_group(app)
        group.name, group.help = name, text
        return group
    single = typer.Typer(add_completion=False)
    single.command(name, help=text, epilog=EPILOG)(getattr(module, name.replace("-", "_")))
    command = get_command(single)
    assert isinstance(command, TyperCommand)
    return command


app = typer.Typer(
    cls=Commands,
    name="orchestrator",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)


def _show_version(value: bool) -> None:
    if value:
        from runtime.settings import load_settings  # slow to import, and `--help` needs none

        typer.echo(load_settings().version)
        raise typer.Exit


@app.callback(epilog=EPILOG)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Describe software in a sentence; get a tested, running service and its URL."""
