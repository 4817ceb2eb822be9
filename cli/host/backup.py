"""`orchestrator backup …`: speaks to the parts of this machine itself, because a restore has no platform yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.client import session
from cli.client.home import ports_of_base, settings_for
from cli.terminal.exits import EPILOG, ExitCode
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from cli.terminal.tables import moment
from contracts.backups import Backup, BackupManifest
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import DeployStart
from contracts.states import ReleaseState, ServerKind
from contracts.wording import counted
from runtime.api_client import ApiClient
from runtime.settings import Settings

app = command_group()

BackupOption = Annotated[
    str | None,
    typer.Option("--backup", metavar="ID", help="The beginning of its id in `backup list`; else the newest."),
]


@app.callback()
def backup() -> None:
    """Back up this platform, check its backups, and restore one."""


@app.command(epilog=EPILOG)
def now(as_json: AsJson = False) -> int:
    """Make a backup of everything, encrypted, while the platform works; nothing is stopped."""
    from runtime.backups.making import make_backup  # here and below: slow to import, and `--help` needs none

    settings, out = _settings("backup now"), Output(as_json=as_json)
    made = asyncio.run(make_backup(settings, f"by-hand-{new_id()}"))
    out.document({"backup": made.model_dump(mode="json")})
    out.say(f"Backup {made.id[:8]} of {settings.home} is at {settings.backup_repository}.", style="bold green")
    out.advise("To see that it can be restored: orchestrator backup verify")
    return ExitCode.OK


@app.command("list", epilog=EPILOG)
def list_backups(as_json: AsJson = False) -> int:
    """List the backups in the repository, the oldest first."""
    from runtime.backups import making

    settings, out = _settings("backup list"), Output(as_json=as_json)
    found = asyncio.run(making.list_backups(settings))
    out.document({"items": [one.model_dump(mode="json") for one in found]})
    own = making.home_tag(settings)
    rows = [(one.id[:8], moment(one.made_at), one.host, _home(one, own), one.version) for one in found]
    out.table(("BACKUP", "MADE", "MACHINE", "HOME", "VERSION"), rows, empty="None yet: orchestrator backup now")
    return ExitCode.OK


@app.command(epilog=EPILOG)
def verify(backup_id: BackupOption = None, as_json: AsJson = False) -> int:
    """Restore a backup into a scratch directory and compare it with what was there when it was made."""
    from runtime.backups.checking import verify_backup

    out = Output(as_json=as_json)
    manifest = asyncio.run(verify_backup(_settings("backup verify"), backup_id))
    out.document({"manifest": manifest.model_dump(mode="json")})
    out.say(f"The backup of {moment(manifest.made_at)} can be restored: {_contents(manifest)}.", style="bold green")
    _tell_left_out(manifest, out)
    return ExitCode.OK


@app.command(epilog=EPILOG)
def restore(
    into: Annotated[
        Path, typer.Argument(metavar="INTO-HOME", help="An empty directory, or one that is not there yet.")
    ],
    backup_id: BackupOption = None,
    port_base: Annotated[
        int | None,
        typer.Option("--port-base", metavar="PORT", help="As with `up`; else the ports of the backed up platform."),
    ] = None,
    adopt: Annotated[
        bool,
        typer.Option("--adopt-servers", help="Deploy to its servers: the platform of before is gone for good."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Restore a platform with its keys, projects, secrets, questions and runs into an empty directory."""
    from runtime.backups.restoring import restore_backup

    settings, out = _settings("backup restore"), Output(as_json=as_json)
    addresses = ports_of_base(port_base) if port_base is not None else None
    done = asyncio.run(restore_backup(settings, into, backup_id, addresses=addresses, adopt=adopt))
    start = f"ORCHESTRATOR_HOME={done.home} orchestrator up --detach"
    out.document(
        {
            "home": str(done.home), "backup": done.backup.model_dump(mode="json"), "servers_withheld": done.withheld,
            "manifest": done.manifest.model_dump(mode="json"), "start": start,
        }
    )  # fmt: skip
    made = moment(done.manifest.made_at)
    out.say(f"Restored the platform of {made} into {done.home}: {_contents(done.manifest)}.", style="bold green")
    _tell_left_out(done.manifest, out)
    if done.withheld:
        out.advise(
            "It does not reach its servers yet: the platform of before could still be deploying to them. Once that is "
            f"gone: ORCHESTRATOR_HOME={done.home} orchestrator backup adopt"
        )
    out.advise(f"Next: {start}")
    if done.manifest.servers:
        out.advise(f"Then, for the services in containers: ORCHESTRATOR_HOME={done.home} orchestrator backup redeploy")
    return ExitCode.OK


@app.command(epilog=EPILOG)
def adopt(as_json: AsJson = False) -> int:
    """Let a restored platform deploy to its servers, because the platform of before is gone for good."""
    from runtime.backups.restoring import adopt_servers

    out, settings = Output(as_json=as_json), _settings("backup adopt")
    adopted = adopt_servers(settings)
    out.document({"adopted": adopted})
    out.say("This platform reaches its servers again." if adopted else "There is nothing to adopt.")
    return ExitCode.OK


@app.command(epilog=EPILOG)
def redeploy(as_json: AsJson = False) -> int:
    """Deploy again what a restored platform had online in containers: a backup has their data, and not their images."""
    _settings("backup redeploy")
    return session.run(_redeploy, as_json=as_json)


async def _redeploy(api: ApiClient, out: Output) -> int:
    """At the commits that were online. Repeatable: an equal deploy that runs is joined."""
    kinds = {server.handle: server.kind for server in await api.servers()}
    started: list[dict[str, str]] = []
    for project in await api.projects():
        releases = await api.releases(project.id)
        live = next((release for release in releases if release.state is ReleaseState.ACTIVE), None)
        if live is None or kinds.get(live.server_handle or "") is not ServerKind.CONTAINER:
            continue
        task = await api.start_deploy(DeployStart(request_id=new_id(), project_id=project.id, commit=live.commit))
        started.append({"project": project.name, "commit": live.commit, "task_id": task.task_id})
        out.say(f"{project.name}: commit {live.commit[:12]} is deployed by task {task.task_id}.")
    out.document({"started": started})
    if not started:
        out.say("Nothing is online in containers.")
    return ExitCode.OK


def _settings(command: str) -> Settings:
    """Of this machine. With Compose no one part sees everything that a backup holds."""
    settings = settings_for(command)
    if settings.stack == "compose":
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT,
            f"Compose runs this platform, and `orchestrator {command}` is for one that `up` has started. "
            "docs/operations.md says how to back up its volumes.",
        )
    return settings


def _home(one: Backup, own: str) -> str:
    return "this one" if one.home == own else one.home


def _contents(manifest: BackupManifest) -> str:
    rows = sum(manifest.tables.values())
    return ", ".join(
        (
            counted(manifest.tables.get("projects", 0), "project"),
            counted(len(manifest.repositories), "repository", "repositories"),
            counted(rows, "row"),
            counted(manifest.temporal.get("executions", 0), "workflow run"),
            counted(manifest.artifacts.files, "artifact"),
        )
    )


def _tell_left_out(manifest: BackupManifest, out: Output) -> None:
    for one in manifest.left_out:
        out.say(f"Not in it: {one}.", style="yellow")
