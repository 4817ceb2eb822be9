"""`orchestrator up`: the parts of one home, in order, each waited for; what runs already is found and kept."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from cli.client.home import admin_key, admin_key_file, remember, remembered_addresses, settings_for
from cli.host import supervision
from cli.host.health import trouble_of, wait_healthy
from cli.host.images import get_base_image
from cli.host.lock import one_start_at_a_time
from cli.host.models.facts import ModelFacts, model_facts
from cli.host.models.given import hand_over
from cli.host.parts import API, BOT, MODEL_PROXY, POSTGRES, SUPERVISOR, TEMPORAL, WORKERS, Parts
from cli.host.runtime_facts import runtime_facts
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring, private_files
from runtime.api_client import ApiClient
from runtime.embedded import dev_server
from runtime.settings import Settings

# The first start of the workers may have to build the images of the local server and of agents.
_TIMEOUTS_S = {POSTGRES: 30.0, TEMPORAL: 30.0, API: 40.0, MODEL_PROXY: 40.0, WORKERS: 300.0, BOT: 60.0}
_RETENTION_DAYS = 30
_TAKEN_APART = re.compile(r"[\s\x00-\x1f\"'`$\\:;,&|<>(){}\[\]*?!#%=]")
_ADDRESSES = {
    TEMPORAL: ("temporal_port", "ui_port"),
    API: ("api_port", "public_url"),
    MODEL_PROXY: ("model_proxy_port",),
}
"""What is kept of a part once it works, and what cannot change while it runs."""


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once everything is ready; default: stay until Ctrl-C.")
    ] = False,
    port_base: Annotated[
        int | None,
        typer.Option(
            "--port-base",
            metavar="PORT",
            help="API on PORT, Web UI on PORT+1, Temporal on PORT+2, model proxy on PORT+3.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    return asyncio.run(bring_up(settings_for("up", port_base), Output(as_json=as_json), detach=detach))


async def bring_up(settings: Settings, out: Output, *, detach: bool) -> ExitCode:
    """Start what is missing, say where everything is, then stay (or leave a supervisor behind).

    A second call finds the first; of two at the same time, one waits for the other.
    """
    parts = Parts(settings)
    stopping: asyncio.Event | None = None
    async with one_start_at_a_time(parts, out):
        replaced = await hand_over(parts, out)
        supervised = parts.book.record(SUPERVISOR) is not None
        fresh = await _start_missing(parts, out)
        login = await _login_link(settings) if parts.has_own_temporal else None
        if not supervised and not detach and not replaced:
            stopping = supervision.stop_request()
            parts.book.write(SUPERVISOR, os.getpid())
        elif not supervised:
            supervision.start_in_background(parts)
        models = await _models(parts)
    _tell_ready(parts, out, fresh=fresh, login=login, models=models)
    if stopping is None:
        return ExitCode.OK
    out.say("Press Ctrl-C to stop everything.")
    return await supervision.stay(parts, out, stopping)


async def _start_missing(parts: Parts, out: Output) -> list[str]:
    """The numbered steps. Returns the names of the parts that were started by this call."""
    started: list[str] = []
    _refuse_to_move(parts)
    _step(out, 1, "Keys and directories", "directories")
    _prepare_home(parts.settings)
    for name in parts.names:
        if parts.book.record(name) is None:
            parts.check_ports(name)
    for number, name, title in ((2, POSTGRES, "PostgreSQL"), (3, TEMPORAL, "Temporal server")):
        started += await _ensure(parts, out, number, name, title)
    if TEMPORAL in parts.names:
        await _raise_retention(parts)
    if API in started or parts.book.record(API) is None:
        _step(out, 4, "Database schema and first administrator", "migrations")
        # It migrates first, and may be repeated.
        await _run_once(parts, "api", "bootstrap")
    else:
        _step(out, 4, "Database schema: in use by the API", "migrations")
    started += await _ensure(parts, out, 5, API, "API")
    await _look_for_stored_keys(parts)
    number = 6
    if MODEL_PROXY in parts.names:
        started += await _ensure(parts, out, number, MODEL_PROXY, "Model proxy")
        number += 1
    if parts.book.record(WORKERS) is None:
        await get_base_image(parts, out)
    started += await _ensure(parts, out, number, WORKERS, "Temporal workers")
    if BOT in parts.names:
        started += await _ensure_bot(parts, out, number + 1)
    return started


async def _ensure(parts: Parts, out: Output, number: int, name: str, title: str) -> list[str]:
    """Start one part unless it runs, and wait until it works."""
    if name not in parts.names:
        where = parts.temporal_target if name == TEMPORAL else "DATABASE_URL"
        _step(out, number, f"{title}: yours ({where})", name)
        await _check_foreign(parts, name)
        return []
    if parts.book.record(name) is not None:
        _step(out, number, f"{title}: already running", name)
        await _wait(parts, name)
        return []
    _step(out, number, f"{title}: starting", name)
    command = await asyncio.to_thread(parts.command, name)
    parts.book.start(name, command)
    await _wait(parts, name)
    return [name]


async def _wait(parts: Parts, name: str) -> None:
    """Until the part works; then its addresses are those of this home."""
    await wait_healthy(parts, name, _TIMEOUTS_S[name])
    if name in _ADDRESSES:
        remember(parts.settings, _ADDRESSES[name])


def _refuse_to_move(parts: Parts) -> None:
    """Raises CONFLICT when a part that runs would have to move: its address is set when it starts."""
    known = remembered_addresses(parts.settings)
    moved = {
        name: getattr(parts.settings, name)
        for part, names in _ADDRESSES.items()
        if part in parts.names and parts.book.record(part) is not None
        for name in names
        if name in known and known[name] != getattr(parts.settings, name)
    }
    if not moved:
        return
    now = ", ".join(f"{name} {known[name] or 'none'} (asked for: {asked or 'none'})" for name, asked in moved.items())
    again = f" --port-base {moved['api_port']}" if "api_port" in moved else ""
    raise OrchestratorError(
        ErrorCode.CONFLICT,
        f"This platform is running, and its addresses stay as they are: {now}. Nothing was changed. To move it, run "
        f"`orchestrator down`, then `orchestrator up --detach{again}`.",
        details={name: str(known[name]) for name in moved},
    )


async def _look_for_stored_keys(parts: Parts) -> None:
    """A key for models in the vault needs the model proxy as well; only the API can say that there is one."""
    async with ApiClient(parts.settings.api_url, admin_key(parts.settings)) as api:
        try:
            parts.stored_model_keys = bool(await api.platform_secrets())
        except OrchestratorError as error:
            # The file `admin.key` need not be an administrator's for ever; then things stay as they were.
            if error.code not in {ErrorCode.NOT_ALLOWED, ErrorCode.NOT_AUTHENTICATED}:
                raise


async def _ensure_bot(parts: Parts, out: Output, number: int) -> list[str]:
    """Telegram may be unavailable, or the token wrong: the platform works without, and the supervisor keeps trying."""
    try:
        return await _ensure(parts, out, number, BOT, "Telegram bot")
    except OrchestratorError as error:
        out.document({"part": BOT, "trouble": error.message})
        out.say(f"Everything is running except the Telegram bot. {error.message}", style="yellow")
        return []


async def _check_foreign(parts: Parts, name: str) -> None:
    if (trouble := await trouble_of(parts, name)) is None:
        return
    if name == TEMPORAL:
        raise OrchestratorError(
            ErrorCode.TEMPORAL_UNREACHABLE,
            f"The Temporal server at {parts.temporal_target} cannot be used: {trouble}. Check TEMPORAL_ADDRESS and "
            "the profile, or unset them to use the embedded server.",
        )
    raise OrchestratorError(
        ErrorCode.PROCESS_FAILED,
        f"The database of DATABASE_URL cannot be used: {trouble}. Unset it to use the embedded server.",
    )


async def _raise_retention(parts: Parts) -> None:
    client = await dev_server.wait_healthy(parts.temporal_target)
    await dev_server.raise_retention(client, days=_RETENTION_DAYS)


def _prepare_home(settings: Settings) -> None:
    _refuse_unusable_name(settings.home)
    try:
        for directory in (settings.home, settings.logs_dir, settings.processes_dir):
            private_files.make_directory(directory)
    except OSError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"The directory {settings.home} cannot be used: {error.strerror}. Choose another with ORCHESTRATOR_HOME.",
        ) from error
    for path in (settings.codec_key_file, settings.vault_key_file):
        keyring.create_if_absent(path)
        keyring.KeyRing.load(path)


def _refuse_unusable_name(home: Path) -> None:
    """Makefiles, shells and lists of directories take these apart, in projects as well as in our own parts."""
    if bad := _TAKEN_APART.findall(str(home)):
        shown = ", ".join(dict.fromkeys("a space" if one == " " else repr(one) for one in bad))
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"The home {str(home)!r} contains {shown}, which the build tools of projects do not understand in a "
            "path. Choose another one: ORCHESTRATOR_HOME=/path/without/that orchestrator up",
        )


async def _run_once(parts: Parts, *arguments: str) -> None:
    """Run one of our short programs; its output goes to its log, and into the error if it fails."""
    name = arguments[-1]
    command = parts.module(*arguments)
    log = parts.book.log_file(name)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=asyncio.subprocess.STDOUT,
        )
    finally:
        os.close(descriptor)
    if await process.wait() != 0:
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"`{' '.join(arguments)}` ended with {process.returncode}. Its log is {log}:\n"
            f"{parts.book.last_words(name)}",
        )


def _step(out: Output, number: int, text: str, name: str) -> None:
    out.document({"step": number, "part": name, "text": text})
    out.say(f"{number}  {text}")


def _tell_ready(parts: Parts, out: Output, *, fresh: list[str], login: str | None, models: ModelFacts | None) -> None:
    settings = parts.settings
    out.document(
        {
            "ready": True,
            "started": fresh,
            **parts.urls,
            "web_ui_login_url": login,
            "home": str(settings.home),
            "runtime": parts.runtime,
            "models": models.document() if models else None,
            "without_a_key": parts.without_a_key,
            "warnings": [fact for label, fact in runtime_facts(parts) if not label],
        }
    )
    number = 7 + sum(name in parts.names for name in (MODEL_PROXY, BOT))
    out.say(f"{number}  Ready" if fresh else f"{number}  Ready; everything was already running", style="bold green")
    out.facts(
        [
            ("   API", settings.api_url),
            ("   API description", f"{settings.api_url}/openapi.json"),
            ("   Temporal Web UI", login or _without_login(parts)),
            ("   ", "this link logs you in once; open it within 30 minutes" if login else None),
            ("   Web UI, encrypted", settings.ui_url if login else None),
            *((f"   {label}", fact) for label, fact in runtime_facts(parts)),
            *((f"   {label}", fact) for label, fact in (models.lines(settings.model_proxy_url) if models else [])),
            ("   Temporal access", parts.without_a_key),
            ("   Keys", settings.codec_key_file.parent),
            ("   Logs", settings.logs_dir),
        ]
    )
    out.advise('Next: orchestrator demo "A notes service", or orchestrator project create NAME')


async def _login_link(settings: Settings) -> str | None:
    """None when the key of this machine was ended, or is no administrator's: the platform runs all the same."""
    try:
        async with ApiClient(settings.api_url, admin_key(settings)) as api:
            return (await api.web_ui_ticket()).url
    except OrchestratorError as error:
        if error.code not in {ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED}:
            raise
        return None


async def _models(parts: Parts) -> ModelFacts | None:
    """None where the key of this machine may not ask: the platform runs all the same."""
    try:
        async with ApiClient(parts.settings.api_url, admin_key(parts.settings)) as api:
            return await model_facts(parts, api)
    except OrchestratorError as error:
        if error.code not in {ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED}:
            raise
        return None


def _without_login(parts: Parts) -> str:
    if not parts.has_own_temporal:
        return f"of {parts.temporal_target}"
    file = admin_key_file(parts.settings)
    return f"no link: the key in {file} was ended. Put a key there; or remove the file, then orchestrator down and up"
