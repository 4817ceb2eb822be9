"""Child processes of `up` that outlive it: each has a log, and a record of its pid and start time.

A record counts only while exactly that process lives: a pid that was given to another program never matches.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cli.host.log_files import put_aside
from runtime import private_files

_TERMINATE_S = 15.0
_KILL_S = 5.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Command:
    """What to run. `user_id` and `group_id` are None for the current user; `stop_signal` asks for an orderly end."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    user_id: int | None = None
    group_id: int | None = None
    stop_signal: int = signal.SIGTERM
    grace_s: float = _TERMINATE_S
    adopt_pid: int | None = None
    """A server that runs already, although no record tells of it."""


@dataclass(frozen=True)
class Record:
    pid: int
    started: str
    stop_signal: int = field(default=signal.SIGTERM)
    grace_s: float = _TERMINATE_S


class ProcessBook:
    """The records and logs of one home."""

    def __init__(self, records_dir: Path, logs_dir: Path) -> None:
        self._records_dir = records_dir
        self._logs_dir = logs_dir

    def log_file(self, name: str) -> Path:
        return self._logs_dir / f"{name}.log"

    def record(self, name: str) -> Record | None:
        """The record of a process that is alive; None when there is no such process."""
        try:
            found = Record(**json.loads(self._file(name).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if start_time(found.pid) == found.started else None

    def start(self, name: str, command: Command) -> Record:
        """Start a process in a session of its own, so that Ctrl-C at the terminal does not reach it."""
        if command.adopt_pid is not None:
            return self.write(name, command.adopt_pid, command)
        put_aside(self.log_file(name))
        return self.write(name, self.launch(name, command).pid, command)

    def launch(self, name: str, command: Command, *, held: bool = False) -> subprocess.Popen[bytes]:
        """Start a process without a record. One that is `held` reads our pipe: a line, or its end when we are gone."""
        self._logs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(self.log_file(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                command.argv,
                env=command.env,
                cwd=command.cwd,
                stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=command.user_id,
                group=command.group_id,
                extra_groups=None if command.user_id is None else [],
            )
        finally:
            os.close(log)

    def write(self, name: str, pid: int, command: Command | None = None) -> Record:
        """Record a running process under `name`."""
        stop_signal, grace_s = (command.stop_signal, command.grace_s) if command else (signal.SIGTERM, _TERMINATE_S)
        record = Record(pid, start_time(pid) or "", int(stop_signal), grace_s)
        private_files.make_directory(self._records_dir)
        private_files.replace(self._file(name), json.dumps(record.__dict__))
        return record

    def forget(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    async def stop(self, name: str) -> int | None:
        """Stop the recorded process: its signal, its time, then KILL. Returns its pid; None when none was alive."""
        record = self.record(name)
        if record is None:
            self.forget(name)
            return None
        _send(record, record.stop_signal)
        if not await ended(record, record.grace_s):
            _send(record, signal.SIGKILL)
            await ended(record, _KILL_S)
        self.forget(name)
        return record.pid

    async def kill(self, name: str) -> None:
        """End a process that obeys no signal, at once."""
        if (record := self.record(name)) is not None:
            _send(record, signal.SIGKILL)
            await ended(record, _KILL_S)

    def last_words(self, name: str, lines: int = 12) -> str:
        """The end of a log, for a person who has to find out why."""
        try:
            with self.log_file(name).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 16_384))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _file(self, name: str) -> Path:
        return self._records_dir / f"{name}.json"


def start_time(pid: int) -> str | None:
    """A text that no other process with this pid ever had; None when the process is gone or a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        ticks = _ticks_since_boot(pid)
        return ticks if ticks is not None else f"{process.create_time():.2f}"
    except (psutil.Error, ValueError):
        return None


def _ticks_since_boot(pid: int) -> str | None:
    """Linux counts from boot, so a clock that is set does not change it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


async def ended(record: Record, timeout_s: float | None = None) -> bool:
    """Wait until the recorded process is gone; False when it is still there after `timeout_s` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            await _until_gone(record)
    except TimeoutError:
        return False
    return True


async def _until_gone(record: Record) -> None:
    if hasattr(os, "pidfd_open"):
        await _by_descriptor(record)
    else:
        # Where the system has no process descriptors there is nothing to wait on but the process list.
        while start_time(record.pid) == record.started:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    _reap(record.pid)


async def _by_descriptor(record: Record) -> None:
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        # The descriptor may already be of a later process with the same pid.
        if start_time(record.pid) == record.started:
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _reap(pid: int) -> None:
    """Our own child would stay a zombie; other processes are not ours to reap."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _send(record: Record, number: int) -> None:
    if start_time(record.pid) == record.started:
        os.kill(record.pid, number)
