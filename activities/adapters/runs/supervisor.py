"""Processes that outlive whoever started them: created or adopted by name, followed, stopped to the last child.

A run is a directory `<runs_dir>/<name>/` with `status.json` (written atomically by the run's supervisor),
`output.log` (standard output and error together), `lock` (held by the supervisor for its whole life) and
`start.lock` (held while a run is being created; the supervisor inherits it, so a starter that is killed in the
middle leaves either a whole run or none).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import activities
from activities.adapters.runs import process_table
from activities.adapters.runs.states import RunAs, RunStatus
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, end_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent
_STOP_MARGIN_S = 10.0
"""How much longer than its grace a supervisor may take before its work is done for it."""
_SWEEP_S = 10.0
_RESCAN_S = 0.05


BEHIND_THE_PLATFORM = 10
"""Niceness of agents and tests: while many run in parallel, the platform must still heartbeat and answer."""


@dataclass(frozen=True)
class SupervisedCommand:
    """What to run. `env` is the whole environment: nothing is inherited. `timeout_s` is wall time in seconds.

    `niceness` is added to that of the platform's own processes.
    """

    name: str
    argv: list[str]
    cwd: Path
    env: dict[str, str]
    timeout_s: int | None = None
    restart: bool = False
    user: RunAs | None = None
    niceness: int = 0


class Supervisor:
    """All runs of one directory. Any number of processes may use the same directory at once."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir

    async def start(self, command: SupervisedCommand) -> RunStatus:
        """Create the run, or adopt the one of that name, whatever its state: never a second process.

        Raises OrchestratorError PROCESS_FAILED (transient) when no supervisor could be started. A command that
        cannot be executed is a run that exited with 127 and says why in its output.
        """
        _checked(command.name)
        starting = asyncio.ensure_future(asyncio.to_thread(self._start, command))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Decided before we leave, so that a stop that follows finds the run.
            await asyncio.wait({starting})
            raise

    def status(self, name: str) -> RunStatus:
        record = self._record(name)
        if record is None:
            return RunStatus(name, "absent")
        if record["state"] == "running" and not _supervised(record):
            # It may have written its end and left between our two looks.
            record = self._record(name) or record
            if record["state"] == "running":
                record["state"] = "lost"
        return _as_status(name, record)

    def read_output(self, name: str, offset: int, limit: int = 65536) -> tuple[bytes, int]:
        """Output from byte `offset` and the offset after it; empty when there is nothing more (yet)."""
        try:
            with (self._run_dir(name) / "output.log").open("rb") as file:
                file.seek(offset)
                chunk = file.read(limit)
        except FileNotFoundError:
            return b"", offset
        return chunk, offset + len(chunk)

    async def wait(self, name: str) -> RunStatus:
        """Return when the run is no longer running. Costs nothing meanwhile; cancelling it leaves the run alone."""
        while (status := self.status(name)).state == "running":
            record = self._record(name)
            if record is not None:
                await _gone(record["supervisor_pid"], record["supervisor_ticks"])
        return status

    async def stop(self, name: str, grace_s: float = 5.0) -> RunStatus:
        """TERM, after `grace_s` KILL, for everything that the run started; return when all of it has ended.

        Ends the orphans of a lost run as well. Stopping what has ended changes nothing. Raises OrchestratorError
        PROCESS_FAILED (transient) when something cannot be killed.
        """
        record = await asyncio.to_thread(self._settled_record, name)
        if record is None:
            return RunStatus(name, "absent")
        if record["state"] == "running" and _supervised(record):
            await self._ask_supervisor(name, record, grace_s)
        await _sweep(name, self._record(name) or record, grace_s)
        return self.status(name)

    def remove(self, name: str) -> None:
        """Forget a run that is not running, so that its name is free; a running one is refused with CONFLICT."""
        run_dir = self._run_dir(name)
        if not run_dir.exists():
            return
        lock = _locked(run_dir)
        try:
            if self.status(name).state == "running":
                raise OrchestratorError(ErrorCode.CONFLICT, f"The run {name} is still running; stop it first.")
            shutil.rmtree(run_dir)
        finally:
            os.close(lock)

    def prune(self, before: float, keep: Callable[[str], bool]) -> list[str]:
        """Forget runs of which nothing has been written since `before`, a time in seconds; their names.

        Those that run are left, of whatever age, and so are lost ones with living processes.
        """
        pruned = []
        for record in sorted(self._runs_dir.glob("*/status.json")):
            name = record.parent.name
            if keep(name) or record.stat().st_mtime >= before or self._is_alive(name):
                continue
            with contextlib.suppress(OrchestratorError, FileNotFoundError):
                self.remove(name)
                pruned.append(name)
        return pruned

    def _is_alive(self, name: str) -> bool:
        record = self._record(name)
        return (
            record is not None
            and record["state"] == "running"
            and (_supervised(record) or bool(leftovers(name, record)))
        )

    def _start(self, command: SupervisedCommand) -> RunStatus:
        run_dir = self._run_dir(command.name)
        lock = _locked(run_dir)
        try:
            if self._record(command.name) is None:
                _launch(run_dir, command, lock)
        finally:
            os.close(lock)
        # The supervisor lets go of the inherited lock once the run can be seen; a broken one by dying.
        os.close(_locked(run_dir))
        status = self.status(command.name)
        if status.state == "absent":
            raise _failed(f"The supervisor of {command.name} did not start.", run_dir)
        return status

    def _settled_record(self, name: str) -> dict[str, Any] | None:
        """The record; if the run is just being started, wait until that has succeeded or failed."""
        if not self._run_dir(name).exists():
            return None
        os.close(_locked(self._run_dir(name)))
        return self._record(name)

    async def _ask_supervisor(self, name: str, record: dict[str, Any], grace_s: float) -> None:
        (self._run_dir(name) / "stop.json").write_text(json.dumps({"grace_s": grace_s}))
        pid, ticks = record["supervisor_pid"], record["supervisor_ticks"]
        _signal(pid, ticks, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s + _STOP_MARGIN_S):
                await _gone(pid, ticks)
        except TimeoutError:
            _signal(pid, ticks, signal.SIGKILL)
            await _gone(pid, ticks)

    def _run_dir(self, name: str) -> Path:
        return self._runs_dir / _checked(name)

    def _record(self, name: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self._run_dir(name) / "status.json").read_text())
        except FileNotFoundError:
            return None
        return record


def _launch(run_dir: Path, command: SupervisedCommand, lock: int) -> None:
    order = {
        "name": command.name,
        "argv": command.argv,
        "cwd": str(command.cwd),
        "env": command.env,
        "timeout_s": command.timeout_s,
        "restart": command.restart,
        "niceness": command.niceness,
        "user": {"uid": command.user.uid, "gid": command.user.gid} if command.user else None,
    }
    with (run_dir / "supervisor.log").open("ab") as errors, contextlib.suppress(BrokenPipeError):
        # -S and -P: the supervisor needs nothing but the standard library and these modules.
        subprocess.run(
            [sys.executable, "-S", "-P", "-m", "activities.adapters.runs.supervise_main", str(run_dir), str(lock)],
            input=json.dumps(order).encode(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env={"PATH": os.defpath, "PYTHONPATH": str(_SOURCE_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            pass_fds=(lock,),
            check=False,
        )


def _locked(run_dir: Path) -> int:
    """An open descriptor that holds the run's start lock; closing it releases the lock.

    Never unlocked explicitly: a supervisor that inherited the descriptor must keep the lock.
    """
    while True:
        run_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_dir.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = os.open(run_dir / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(lock), os.stat(run_dir / "start.lock")):
                return lock
        except FileNotFoundError:
            # The run was removed while we waited for it: begin again in a new directory.
            pass
        os.close(lock)


def _supervised(record: dict[str, Any]) -> bool:
    return record["boot_id"] == process_table.boot_id() and process_table.same_process(
        record["supervisor_pid"], record["supervisor_ticks"]
    )


async def _gone(pid: int, ticks: int) -> None:
    """Wait for the end of exactly this process."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if process_table.same_process(pid, ticks):
            loop.add_reader(handle, ended.set)
            await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _signal(pid: int, ticks: int, number: signal.Signals) -> None:
    """Signal exactly this process, not a later one with its pid."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if process_table.same_process(pid, ticks):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


async def _sweep(name: str, record: dict[str, Any], grace_s: float) -> None:
    """End whatever carries the run's marker: the orphans of a supervisor that was killed."""
    loop = asyncio.get_running_loop()
    left = await asyncio.to_thread(leftovers, name, record)
    process_table.signal_all(left, signal.SIGTERM)
    kill_at = loop.time() + grace_s
    while left := await asyncio.to_thread(leftovers, name, record):
        if loop.time() >= kill_at:
            process_table.signal_all(left, signal.SIGKILL)
        if loop.time() >= kill_at + _SWEEP_S:
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED,
                f"Some processes of {name} could not be stopped.",
                error_class=ErrorClass.TRANSIENT,
                details={"pids": sorted(left)},
            )
        await asyncio.sleep(_RESCAN_S)


def leftovers(name: str, record: dict[str, Any]) -> set[int]:
    """Living processes of a run without its supervisor: by marker, by session, and everything below those.

    A process that cleared its environment, left the session and lost its parent after the supervisor was killed
    cannot be told from others; with a living supervisor nothing escapes.
    """
    if record["boot_id"] != process_table.boot_id():
        return set()
    table = [one for one in process_table.entries() if one.alive]
    marker = f"{name}:{record['instance']}"
    roots = {one.pid for one in table if process_table.carries(one.pid, marker)}
    roots |= {one.pid for one in table if _in_session(one, record)}
    return (roots | process_table.descendants(roots, table)) - {os.getpid()}


def _in_session(one: process_table.ProcessEntry, record: dict[str, Any]) -> bool:
    if record["pid"] is None or record["pid_ticks"] is None or one.session != record["pid"]:
        return False
    leader = process_table.entry(record["pid"])
    reused = leader is not None and leader.start_ticks != record["pid_ticks"]
    return not reused and one.start_ticks >= record["pid_ticks"]


def _as_status(name: str, record: dict[str, Any]) -> RunStatus:
    return RunStatus(
        name,
        record["state"],
        pid=record["pid"],
        exit_code=record["exit_code"],
        restarts=record["restarts"],
        started_at=_moment(record["started_at"]),
        finished_at=_moment(record["finished_at"]),
        timed_out=record["timed_out"],
        stopped=record["stopped"],
        run_as_uid=record["run_as_uid"],
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT, "The name of a run may only contain letters, digits, dots and dashes."
        )
    return name


def _failed(message: str, run_dir: Path) -> OrchestratorError:
    try:
        errors = end_of((run_dir / "supervisor.log").read_text(errors="replace"), 2_000)
    except OSError:
        errors = ""
    return OrchestratorError(
        ErrorCode.PROCESS_FAILED, message, error_class=ErrorClass.TRANSIENT, details={"stderr": errors}
    )
