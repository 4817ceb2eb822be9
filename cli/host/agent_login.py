"""`orchestrator agent login`: an agent's own log-in, at this terminal, in a container whose volume keeps it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Annotated

import typer

from cli.client import session
from cli.client.home import settings_for
from cli.host.parts import child_environment, environment
from cli.terminal import inputs
from cli.terminal.exits import EPILOG, ExitCode
from cli.terminal.options import command_group
from cli.terminal.output import Output
from contracts.agent_logins import login_of
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind
from runtime.access_client import AccessApi
from runtime.settings import Settings

app = command_group()


@app.callback()
def agent() -> None:
    """Agents themselves, on this machine."""


@app.command(epilog=EPILOG)
def login(
    name: Annotated[AgentKind, typer.Argument(metavar="AGENT", help="claude-code or codex.")],
    user: Annotated[
        int | None, typer.Option("--user", metavar="USER_ID", help="Whose log-in it is; by default the operator's.")
    ] = None,
) -> int:
    """Log an agent in with your own account, at this terminal. Read what its vendor allows first."""
    settings = settings_for("agent login")
    login_of(name)
    _check(settings)
    owner = settings.admin_user_id if user is None else user
    out = Output(as_json=False)
    out.say(f"{name.value} logs in with your account. Whether it may be used like this is said in its vendor's terms.")
    _run(settings, name, owner)
    out.advise(f"Next: orchestrator worker create NAME --agent {name.value} --login")
    return ExitCode.OK


@app.command(epilog=EPILOG)
def logout(
    name: Annotated[AgentKind, typer.Argument(metavar="AGENT", help="claude-code or codex.")],
    user: Annotated[
        int | None, typer.Option("--user", metavar="USER_ID", help="Whose log-in it is; by default the operator's.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> int:
    """Remove an agent's own log-in from this machine, once no agent worker uses it."""
    settings = settings_for("agent logout")
    login_of(name)
    owner = settings.admin_user_id if user is None else user
    if not yes:
        if not sys.stdin.isatty():
            raise inputs.refuse(f"This removes the log-in of user {owner} for {name.value}. Add --yes to confirm.")
        typer.confirm(f"Remove the log-in of user {owner} for {name.value}?", abort=True)

    async def work(api: AccessApi, out: Output) -> None:
        await api.log_agent_out(name, owner)
        await asyncio.to_thread(_run, settings, name, owner, "--logout")
        out.say(f"The log-in is gone from this machine. Whether it also ends at the vendor of {name.value}, see there.")

    session.run(work, as_json=False)
    return ExitCode.OK


def _run(settings: Settings, name: AgentKind, owner: int, *options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers.agent_login", name.value, str(owner), *options],
        env=environment(child_environment(settings)),
        check=False,
    )
    if done.returncode != ExitCode.OK:
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, "It ended without success; see above.")


def _check(settings: Settings) -> None:
    if not settings.agent_logins:
        raise OrchestratorError(
            ErrorCode.NOT_ALLOWED,
            "Agents may not use a person's own log-in here. Set ORCHESTRATOR_AGENT_LOGINS=true for `up` and for this "
            "command, after reading what the agent's vendor allows.",
        )
    if sys.stdin is None or not sys.stdin.isatty():
        raise inputs.refuse("A log-in needs a terminal: its page or its code is shown there.")
