"""`orchestrator doctor`: for each thing that the platform needs: version, whether it can be reached, and what to do."""

from __future__ import annotations

import asyncio
import os
import platform as host
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.client.home import admin_key, admin_key_file, settings_for
from cli.host.backup_facts import backup_finding
from cli.host.finding import Finding
from cli.host.health import trouble_of
from cli.host.models.keys import agent_of_new_work, model_keys
from cli.host.parts import API, BOT, MODEL_PROXY, POSTGRES, TEMPORAL, WORKERS, Parts
from cli.host.runtime_facts import MOVE, root_obstacle
from cli.terminal.exits import ExitCode
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from cli.terminal.tables import moment
from contracts.base import utc_now
from contracts.errors import OrchestratorError
from contracts.names import Queue
from contracts.nouns import QueueDTO
from contracts.states import AgentKind
from contracts.wording import counted
from runtime import process_mode
from runtime.api_client import ApiClient
from runtime.disks import Disk, disks
from runtime.embedded.dev_server import temporal_program
from runtime.embedded.postgres import programs_dir
from runtime.keyring import KeyRing
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from runtime.temporal.client import connect
from runtime.temporal.gateway import Gateway
from runtime.temporal.task_queues import QueueFacts
from runtime.usage import usage

_PROGRAM_S = 10.0
_MISSED_BEATS = 2.5
"""After this many missed heartbeats a Temporal worker counts as dead here."""
_POLL_S = 75.0
"""An idle Temporal worker polls once a minute."""
_NEEDED_PYTHON = (3, 11)
_DOCKER_RULES = {
    "Images": "the image of agents goes with the next version of the platform; others are not touched",
    "Containers": "go with their turns, tests and servers",
    "Local Volumes": "go with their agents and servers; on the server in a container, its releases are there",
    "Build Cache": "stays; docker builder prune removes it",
}


def doctor(as_json: AsJson = False) -> int:
    return asyncio.run(_examine(Parts(settings_for("doctor")), Output(as_json=as_json)))


async def _examine(parts: Parts, out: Output) -> ExitCode:
    """Check everything, even after a failure; FAILED when a needed part is missing or broken."""
    local = await asyncio.gather(*(asyncio.to_thread(check) for check in _local_checks(parts)))
    storage = await asyncio.gather(*(asyncio.to_thread(check, parts.settings) for check in (_disks, _used)))
    findings = [
        *local,
        *storage[0],
        *storage[1],
        _without_a_key(parts),
        *await _running(parts),
        *await agent_of_new_work(parts),
        *await model_keys(parts),
    ]
    bad = [finding for finding in findings if finding.verdict in {"missing", "problem"}]
    out.document({"healthy": not bad, "findings": [asdict(finding) for finding in findings]})
    rows = [(finding.part, finding.verdict, finding.found) for finding in findings]
    out.table(("PART", "VERDICT", "FOUND"), rows, empty="")
    out.say()
    for finding in findings:
        if finding.advice:
            # A line of its own: a table would break commands and paths.
            out.advise(f"{finding.part} ({finding.verdict}): {finding.advice}")
    out.say(
        f"{len(bad)} of {len(findings)} checks {'needs' if len(bad) == 1 else 'need'} attention."
        if bad
        else "Everything the platform needs is there."
    )
    return ExitCode.FAILED if bad else ExitCode.OK


def _local_checks(parts: Parts) -> list[Callable[[], Finding]]:
    """What this machine must have: in a container of Compose only what that part needs, and no embedded servers."""
    settings = parts.settings
    everywhere: list[Callable[[], Finding]] = [
        _python,
        lambda: _program("git", ["--version"], "apt install git"),
        lambda: _keys(settings),
    ]
    if parts.is_run_elsewhere:
        return everywhere
    return [
        *everywhere,
        lambda: _program("make", ["--version"], "apt install make"),
        *([_temporal_program] if parts.has_own_temporal else []),
        *([_postgres_programs] if parts.has_own_postgres else []),
        lambda: _program("ansible-playbook", ["--version"], "reinstall codegen-orchestrator"),
        lambda: _package("ansible-runner"),
        lambda: _package("copier"),
        lambda: _agent_image(settings),
        _docker,
        lambda: _work_user(settings),
        lambda: _trust(settings),
        lambda: backup_finding(settings),
    ]


def _python() -> Finding:
    fine = sys.version_info >= _NEEDED_PYTHON
    advice = "" if fine else "use Python 3.11 or newer"
    return Finding("python", "ok" if fine else "problem", host.python_version(), advice)


def _program(name: str, arguments: list[str], advice: str) -> Finding:
    path = _which(name)
    if path is None:
        return Finding(name, "missing", "not found", advice)
    said = _ask([path, *arguments])
    return Finding(name, "ok", said) if said else Finding(name, "problem", f"{path} does not run", advice)


def _which(name: str) -> str | None:
    bundled = Path(sys.executable).parent / name
    return str(bundled) if os.access(bundled, os.X_OK) else shutil.which(name)


def _ask(argv: list[str]) -> str:
    """The first line that a program says about itself; empty when it does not run."""
    lines = _lines(argv)
    return lines[0][:80] if lines else ""


def _lines(argv: list[str]) -> list[str]:
    """What a program says; nothing when it does not run."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROGRAM_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _temporal_program() -> Finding:
    try:
        program = temporal_program()
    except OrchestratorError as error:
        return Finding("temporal program", "missing", "not found", error.message)
    said = _ask([str(program), "--version"])
    return Finding("temporal program", "ok" if said else "problem", said or "does not run")


def _postgres_programs() -> Finding:
    try:
        said = _ask([str(programs_dir() / "postgres"), "--version"])
    except OrchestratorError as error:
        return Finding("PostgreSQL programs", "missing", "not found", error.message)
    return Finding("PostgreSQL programs", "ok" if said else "problem", said or "do not run")


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "missing", "not installed", "reinstall codegen-orchestrator")


def _agent_image(settings: Settings) -> Finding:
    """Agents that follow a model are programs of images, whatever is installed on this machine."""
    name = settings.agent_for_new_work.value
    report = RuntimeReport.read(settings.runtime_report_file)
    said = report.agent_images.get(name) if report is not None else None
    if said is not None:
        return Finding(f"image of {name}", "problem" if "missing" in said else "ok", said)
    if settings.agent_for_new_work is AgentKind.SCRIPTED:
        return Finding(f"image of {name}", "ok", "it needs none of its own")
    return Finding(f"image of {name}", "optional", "its image is built at its first use", "it takes some minutes")


def _docker() -> Finding:
    path = shutil.which("docker")
    without = "optional: without it everything runs as processes; `make docker` says how to install it"
    if path is None:
        return Finding("docker", "optional", "not found", without)
    said = _ask([path, "version", "--format", "{{.Server.Version}}"])
    return Finding("docker", "ok", said) if said else Finding("docker", "optional", "no engine answers", without)


def _disks(settings: Settings) -> list[Finding]:
    return [_disk(disk) for disk in disks(settings)]


def _disk(disk: Disk) -> Finding:
    title, said = f"disk: {disk.name}", f"{disk.free_mb} of {disk.total_mb} MB free at {disk.path}"
    if disk.state == "ok":
        return Finding(title, "ok", said)
    return Finding(title, "problem", f"{disk.state.upper()}: {said}", "free some space; the lines with `used` help")


def _used(settings: Settings) -> list[Finding]:
    found = [Finding(f"used: {one.name}", "ok", one.shown, one.rule) for one in usage(settings)]
    return [*found, *_used_by_docker(settings)]


def _used_by_docker(settings: Settings) -> list[Finding]:
    """What the engine of this machine holds, of ours and of others, where the platform works in it."""
    report, path = RuntimeReport.read(settings.runtime_report_file), shutil.which("docker")
    if path is None or report is None or report.docker_root is None:
        return []
    lines = _lines([path, "system", "df", "--format", "{{.Type}}\t{{.TotalCount}}\t{{.Size}}"])
    rows = [line.split("\t") for line in lines if line.count("\t") == 2]
    return [
        Finding(f"used: Docker: {kind}", "ok", f"{size} in {count}", _DOCKER_RULES[kind])
        for kind, count, size in rows
        if kind in _DOCKER_RULES
    ]


def _keys(settings: Settings) -> Finding:
    files = (settings.codec_key_file, settings.vault_key_file, settings.api_service_key_file, admin_key_file(settings))
    there = [path for path in files if path.exists()]
    if not there:
        return Finding("key files", "optional", "none yet", "`orchestrator up` creates them")
    open_ones = [path for path in there if path.stat().st_mode & 0o077]
    if open_ones:
        return Finding("key files", "problem", "others can read them", f"chmod 600 {' '.join(map(str, open_ones))}")
    return Finding("key files", "ok", f"{len(there)} in {settings.codec_key_file.parent}, mode 0600")


def _work_user(settings: Settings) -> Finding:
    """Whom processes of agents, tests and services run as, found out by starting one."""
    if os.geteuid() != 0:
        return Finding("agent user", "ok", "agents, tests and services run as you, not as root")
    obstacle = root_obstacle(settings)
    if obstacle is None:
        return Finding("agent user", "ok", "you are root; agents, tests and services have users of their own")
    report = RuntimeReport.read(settings.runtime_report_file)
    if report is not None and "processes" not in {report.work, report.services}:
        return Finding("agent user", "optional", f"work runs in containers; processes would be root: {obstacle}", MOVE)
    return Finding("agent user", "problem", f"agents, tests and services run as root: {obstacle}", MOVE)


def _trust(settings: Settings) -> Finding:
    """For whom work is held apart enough from the platform."""
    if process_mode.is_for_one(settings):
        advice = "`make docker` before you let in others or agents with a model"
        return Finding("people and models", "optional", process_mode.ONE_PERSON, advice)
    if settings.trust_processes:
        said = f"{process_mode.VARIABLE} is set: everybody and every agent is trusted with this machine"
        return Finding("people and models", "optional", said)
    return Finding("people and models", "ok", "work is in containers, or none has run yet")


def _without_a_key(parts: Parts) -> Finding:
    """Temporal has no login of its own; what its payloads do not protect is said here."""
    advice = "run programs that you do not trust elsewhere; see docs/security.md"
    return Finding("Temporal access", "optional", parts.without_a_key, advice)


async def _running(parts: Parts) -> list[Finding]:
    names = {POSTGRES: "PostgreSQL", TEMPORAL: "Temporal server", API: "API", WORKERS: "Temporal workers"}
    if MODEL_PROXY in parts.names or parts.is_run_elsewhere:
        names[MODEL_PROXY] = "Model proxy"
    if parts.settings.has_bot:
        names[BOT] = "Telegram bot"
    findings = []
    for name, title in names.items():
        stopped = name in parts.names and parts.book.record(name) is None
        trouble = "not running" if stopped else await trouble_of(parts, name)
        advice = parts.settings.start_command if stopped else _where_to_look(parts, name)
        findings.append(
            Finding(title, "ok" if not trouble else "problem", trouble or "reachable", advice if trouble else "")
        )
    if findings[1].verdict == "ok":
        findings += await _queues(parts, api=findings[2].verdict == "ok")
    return findings


def _where_to_look(parts: Parts, name: str) -> str:
    if not parts.is_run_elsewhere:
        return f"see {parts.book.log_file(name)}"
    services = " ".join(f"worker-{queue}" for queue in Queue.ALL) if name == WORKERS else name
    return f"docker-compose ps, then docker-compose logs {services}"


async def _queues(parts: Parts, *, api: bool) -> list[Finding]:
    """One finding for each task queue, as the server describes it now; the API knows since when a queue is unserved."""
    try:
        found = await _seen_now(parts)
        watched = {queue.name: queue for queue in (await _watched(parts) if api else [])}
    except OrchestratorError as error:
        return [Finding("task queues", "problem", error.message)]
    return [_queue(queue, watched.get(queue.name), parts.settings) for queue in found]


async def _watched(parts: Parts) -> list[QueueDTO]:
    async with ApiClient(parts.settings.api_url, admin_key(parts.settings), attempts=1, timeout_s=5) as api:
        return (await api.queues()).items


async def _seen_now(parts: Parts) -> list[QueueFacts]:
    client = await connect(parts.settings, keyring=KeyRing.load(parts.settings.codec_key_file), identity="cli")
    return await Gateway(client, parts.settings.ui_url).queue_facts()


def _queue(found: QueueFacts, watched: QueueDTO | None, settings: Settings) -> Finding:
    """Ok only if a Temporal worker has been heard of lately: connections of dead ones are remembered for minutes."""
    title, pollers = f"queue {found.name}", found.workflow_pollers + found.activity_pollers
    beat_s = _MISSED_BEATS * settings.worker_beat_s
    live = sum(worker.polling and _is_recent(worker.beat_at, beat_s) for worker in found.workers)
    oldest = f", the oldest for {found.oldest_waiting_s:.0f} s" if found.oldest_waiting_s is not None else ""
    said = f"{counted(live, 'worker')}, {counted(pollers, 'poller')}, {found.backlog} waiting{oldest}"
    # One that has just begun polls before its first heartbeat.
    polled = found.polled_at is not None and _is_recent(found.polled_at, beat_s if found.workers else _POLL_S)
    if watched is not None and watched.unserved_since:
        said = f"{said}; UNSERVED since {moment(watched.unserved_since)}"
    elif not (live or polled):
        said = f"{said}; no live Temporal worker"
    else:
        return Finding(title, "ok", said)
    return Finding(title, "problem", said, f"{settings.start_command}, or python -m workers {found.name}")


def _is_recent(moment: datetime, seconds: float) -> bool:
    return (utc_now() - moment).total_seconds() < seconds
