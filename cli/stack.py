"""`up` and `down`: the parts of one home, in order, each waited for; what runs already is found and kept."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cli.exits import ExitCode
from cli.images import get_base_image
from cli.parts import API, BOT, POSTGRES, START_ORDER, TEMPORAL, WORKERS, Parts
from contracts.errors import ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from cli.output import Output
    from runtime.settings import Settings

SUPERVISOR = "supervisor"
STOP_ORDER = (SUPERVISOR, BOT, *reversed(START_ORDER))
# The first start of the workers may have to build the images of the local server and of agents.
_TIMEOUTS_S = {POSTGRES: 30.0, TEMPORAL: 30.0, API: 40.0, WORKERS: 300.0, BOT: 60.0}
_LOCK_S = 180.0
_RETENTION_DAYS = 30


async def bring_up(settings: Settings, out: Output, *, detach: bool) -> ExitCode:
    """Start what is missing, say where everything is, then stay (or leave a supervisor behind).

    A second call finds the first; of two at once, one waits for the other.
    """
    from cli import supervision

    parts = Parts(settings)
    stopping: asyncio.Event | None = None
    async with _alone(parts, out):
        supervised = parts.book.record(SUPERVISOR) is not None
        fresh = await start_missing(parts, out)
        login = await _login_link(settings) if parts.has_own_temporal else None
        if not supervised and not detach:
            stopping = supervision.stop_request()
            parts.book.write(SUPERVISOR, os.getpid())
        elif not supervised:
            await supervision.start_in_background(parts)
    _tell_ready(parts, out, fresh=fresh, login=login)
    if stopping is None:
        return ExitCode.OK
    out.say("Ctrl-C stops everything in order.")
    return await supervision.stay(parts, out, stopping)


async def start_missing(parts: Parts, out: Output) -> list[str]:
    """The numbered steps. Returns the names of the parts that were started by this call."""
    settings, started = parts.settings, []
    _step(out, 1, "Keys and directories", "directories")
    _prepare_home(settings)
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
        _step(out, 4, "Database schema: the API runs on it", "migrations")
    started += await _ensure(parts, out, 5, API, "API")
    if parts.book.record(WORKERS) is None:
        await get_base_image(parts, out)
    started += await _ensure(parts, out, 6, WORKERS, "Temporal workers")
    if BOT in parts.names:
        started += await _ensure_bot(parts, out)
    return started


async def take_down(settings: Settings, out: Output, *, services: bool) -> ExitCode:
    """Stop what runs of this home, the last started first. A second call finds nothing to stop."""
    parts = Parts(settings)
    stopped_services = await _stop_services(parts, out) if services else []
    running = {name: record.pid for name in STOP_ORDER if (record := parts.book.record(name)) is not None}
    for name, pid in running.items():
        # The supervisor stops the other parts itself; then there is nothing left to do for them here.
        await parts.book.stop(name)
        out.say(f"Stopped {name} (pid {pid}).")
    parts.ready_file.unlink(missing_ok=True)
    if not running:
        out.say("Nothing of this home is running.")
    elif not services:
        out.say("Deployed services keep running; `orchestrator down --services` stops them too.")
    out.document({"stopped": running, "services": stopped_services})
    return ExitCode.OK


async def _ensure(parts: Parts, out: Output, number: int, name: str, title: str) -> list[str]:
    """Start one part unless it runs, and wait until it is well."""
    if name not in parts.names:
        where = parts.temporal_target if name == TEMPORAL else "DATABASE_URL"
        _step(out, number, f"{title}: yours ({where})", name)
        await _check_foreign(parts, name)
        return []
    if parts.book.record(name) is not None:
        _step(out, number, f"{title}: already running", name)
        await parts.wait_healthy(name, _TIMEOUTS_S[name])
        return []
    _step(out, number, f"{title}: starting", name)
    command = await asyncio.to_thread(parts.command, name)
    parts.book.start(name, command)
    await parts.wait_healthy(name, _TIMEOUTS_S[name])
    return [name]


async def _ensure_bot(parts: Parts, out: Output) -> list[str]:
    """Telegram may be away, or its token wrong: the platform is there all the same, and the supervisor tries on."""
    try:
        return await _ensure(parts, out, 7, BOT, "Telegram bot")
    except OrchestratorError as error:
        out.document({"part": BOT, "trouble": error.message})
        out.say(f"The Telegram bot is not there yet; everything else is. {error.message}", style="yellow")
        return []


async def _check_foreign(parts: Parts, name: str) -> None:
    from cli.health import trouble_of

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
    from runtime import dev_server

    client = await dev_server.wait_healthy(parts.temporal_target)
    await dev_server.raise_retention(client, days=_RETENTION_DAYS)


def _prepare_home(settings: Settings) -> None:
    from cli.endpoints import remember
    from runtime import keyring, private_files

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
    remember(settings)


async def _run_once(parts: Parts, *arguments: str) -> None:
    """A short program of ours; its output goes to its log, and into the error when it fails."""
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


async def _stop_services(parts: Parts, out: Output) -> list[str]:
    """Through the platform's own way, so that the records say it."""
    from cli.services import stop_all
    from cli.session import open_platform

    try:
        async with open_platform(parts.settings) as platform:
            return await stop_all(platform, out)
    except OrchestratorError as error:
        if error.code not in {ErrorCode.API_UNREACHABLE, ErrorCode.TEMPORAL_UNREACHABLE}:
            raise
        raise OrchestratorError(
            error.code,
            "Deployed services are stopped through the platform, and it does not answer. "
            "Run `orchestrator up --detach` first, or `orchestrator down` without --services.",
        ) from error


@asynccontextmanager
async def _alone(parts: Parts, out: Output) -> AsyncIterator[None]:
    """Only one `up` of a home starts parts at a time; the lock ends with its holder."""
    from runtime import private_files

    try:
        private_files.make_directory(parts.settings.processes_dir)
        descriptor = os.open(parts.settings.processes_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"{parts.settings.home} cannot be used: {error.strerror}. Choose another with ORCHESTRATOR_HOME.",
        ) from error
    try:
        await _lock(descriptor, out)
        yield
    finally:
        os.close(descriptor)


async def _lock(descriptor: int, out: Output) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        out.say("Another `orchestrator up` of this home is starting; waiting for it.")
        deadline = asyncio.get_running_loop().time() + _LOCK_S
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"Another `orchestrator up` has not finished within {_LOCK_S:g} s."
        ) from None


def _step(out: Output, number: int, text: str, name: str) -> None:
    out.document({"step": number, "part": name, "text": text})
    out.say(f"{number}  {text}")


def _tell_ready(parts: Parts, out: Output, *, fresh: list[str], login: str | None) -> None:
    settings = parts.settings
    out.document(
        {
            "ready": True,
            "started": fresh,
            **urls(parts),
            "web_ui_login_url": login,
            "home": str(settings.home),
            "places": places_of(settings),
        }
    )
    number = 8 if BOT in parts.names else 7
    out.say(f"{number}  Ready" if fresh else f"{number}  Ready; everything was running already", style="bold green")
    out.facts(
        [
            ("   API", settings.api_url),
            ("   API description", f"{settings.api_url}/openapi.json"),
            ("   Temporal Web UI", login or f"of {parts.temporal_target}"),
            ("   ", "open it once per browser: it logs in, and works within 30 minutes" if login else None),
            ("   Web UI, encrypted", settings.ui_url if login else None),
            ("   Work happens in", places_of(settings)),
            ("   Keys", settings.codec_key_file.parent),
            ("   Logs", settings.logs_dir),
        ]
    )
    out.say('Next: orchestrator demo "A notes service", or orchestrator project create NAME')


def places_of(settings: Settings) -> str | None:
    from runtime.places import Places

    places = Places.read(settings.places_file)
    return places.shown if places else None


async def _login_link(settings: Settings) -> str:
    from cli.session import admin_key
    from runtime.api_client import ApiClient

    async with ApiClient(settings.api_url, admin_key(settings)) as api:
        return (await api.web_ui_ticket()).url


def urls(parts: Parts) -> dict[str, object]:
    """Where people look."""
    api = parts.settings.api_url
    return {"api_url": api, "openapi_url": f"{api}/openapi.json", "web_ui_url": parts.settings.web_ui_url}
