"""The detached supervisor of one run: `python -m activities.adapters.runs.supervise_main <run directory> <lock fd>`.

It reads its order (argv, directory, environment, limits) as JSON from standard input, so that no environment is
ever on the disk or in an argument list. It outlives the process that started it. It is a child subreaper: whatever
the command starts, however often that forks, ends up below this process and is ended with it. The standard library
is all that it imports, so it starts in about 50 ms and stays small.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import secrets
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any

from activities.adapters.runs import process_table
from activities.adapters.runs.bounded_log import BoundedLog

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_CHILD_SUBREAPER = 36
LEFTOVER_GRACE_S = 2.0
"""How long what the command left behind has, once the command itself has ended."""
_RESCAN_S = 0.05
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 30.0
_STEADY_S = 60.0
"""A service that lived this long starts again with the shortest backoff."""
_CANNOT_START = 127


class Supervision:
    """One run from its first process to its recorded end."""

    def __init__(self, run_dir: Path, order: dict[str, Any]) -> None:
        self._run_dir = run_dir
        self._order = order
        self._instance = secrets.token_hex(8)
        self._log = BoundedLog(run_dir / "output.log", rotate=bool(order["restart"]))
        self._stop_asked = False
        self._main_pid: int | None = None
        self._main_exit: int | None = None
        self._wakeup = self._catch_signals()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._output: int | None = None
        self._record: dict[str, Any] = {
            "state": "running",
            "name": order["name"],
            "instance": self._instance,
            "boot_id": process_table.boot_id(),
            "supervisor_pid": os.getpid(),
            "supervisor_ticks": _ticks(os.getpid()),
            "pid": None,
            "pid_ticks": None,
            "exit_code": None,
            "restarts": 0,
            "started_at": time.time(),
            "finished_at": None,
            "timed_out": False,
            "stopped": False,
            "run_as_uid": order["user"]["uid"] if order["user"] else None,
        }

    def begin(self) -> None:
        """Record first, start second: a crash in between is a lost run, never a second start."""
        self._save()
        self._spawn()

    def run(self) -> None:
        """Follow the command (and its restarts) to the end, and record that end."""
        timeout = self._order["timeout_s"]
        deadline = None if timeout is None else time.monotonic() + timeout
        backoff = _FIRST_BACKOFF_S
        while True:
            began = time.monotonic()
            self._follow(deadline)
            if not self._order["restart"] or self._finished():
                break
            backoff = _FIRST_BACKOFF_S if time.monotonic() - began > _STEADY_S else backoff
            self._pause(backoff)
            if self._stop_asked:
                break
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)
            self._record["restarts"] += 1
            self._spawn()
        self._log.close()
        self._record.update(state="exited", exit_code=self._main_exit, finished_at=time.time())
        self._save()

    def _finished(self) -> bool:
        return bool(self._stop_asked or self._record["timed_out"])

    def _follow(self, deadline: float | None) -> None:
        """Wait until the command and everything that it started have ended."""
        while self._main_exit is None and not self._stop_asked:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                self._record["timed_out"] = True
                break
            self._pump(left)
        if self._stop_asked:
            self._record["stopped"] = True
        self._end_tree(self._grace())
        self._drain()

    def _grace(self) -> float:
        if self._main_exit is not None:
            return LEFTOVER_GRACE_S
        if not self._stop_asked:
            return 5.0
        try:
            return float(json.loads((self._run_dir / "stop.json").read_text())["grace_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return 5.0

    def _pause(self, seconds: float) -> None:
        """Wait between two starts of a service; a stop ends the wait immediately."""
        until = time.monotonic() + seconds
        while not self._stop_asked and (left := until - time.monotonic()) > 0:
            self._pump(left)

    def _end_tree(self, grace_s: float) -> None:
        """TERM all descendants, then KILL until none is left."""
        process_table.signal_all(self._tree(), signal.SIGTERM)
        until = time.monotonic() + grace_s
        while self._tree() and time.monotonic() < until:
            self._pump(_RESCAN_S)
        while left := self._tree():
            process_table.signal_all(left, signal.SIGKILL)
            self._pump(_RESCAN_S)
        self._reap()

    def _tree(self) -> set[int]:
        """Every process of this run. A run that was started from inside this one is not part of it."""
        self._reap()
        table = process_table.entries()
        below = process_table.descendants([os.getpid()], table)
        runs = {pid for pid in below if _supervises(pid, self._run_dir.parent)}
        return below - runs - process_table.descendants(runs, table)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._main_pid:
                self._main_exit = os.waitstatus_to_exitcode(status)

    def _pump(self, timeout: float | None) -> None:
        """Wait for output, a signal or the time; copy output, reap children."""
        for key, _ in self._selector.select(timeout):
            if key.fd == self._wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
            elif key.fd == self._output:
                self._copy()
        self._reap()

    def _copy(self) -> bool:
        """One chunk of output into the log; False when there is none now."""
        if self._output is None:
            return False
        try:
            chunk = os.read(self._output, 65536)
        except BlockingIOError:
            return False
        if not chunk:
            self._selector.unregister(self._output)
            os.close(self._output)
            self._output = None
            return False
        self._log.write(chunk)
        return True

    def _drain(self) -> None:
        while self._copy():
            continue
        if self._output is not None:
            self._selector.unregister(self._output)
            os.close(self._output)
            self._output = None

    def _spawn(self) -> None:
        self._main_exit = None
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(self._order, f"{self._order['name']}:{self._instance}", write_end)
        os.close(write_end)
        os.set_blocking(read_end, False)
        self._output = read_end
        self._selector.register(read_end, selectors.EVENT_READ)
        self._main_pid = pid
        self._record.update(pid=pid, pid_ticks=_ticks(pid))
        self._save()

    def _save(self) -> None:
        draft = self._run_dir / ".status.json.draft"
        with draft.open("w") as file:
            json.dump(self._record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._run_dir / "status.json")

    def _catch_signals(self) -> int:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask_stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return read_end

    def _ask_stop(self, *_: object) -> None:
        self._stop_asked = True


def _become(order: dict[str, Any], marker: str, output: int) -> None:
    """Become the command, in the child: set its session, user and environment, then run it. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        # Python ignores some signals and an exec would keep that; the command expects the defaults.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.nice(order["niceness"])
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # What a user of its own writes (a database, a session) is for nobody else.
        os.umask(0o077 if order["user"] else 0o022)
        if order["user"]:
            _drop_to(order["user"]["uid"], order["user"]["gid"])
        os.chdir(order["cwd"])
        os.execvpe(order["argv"][0], order["argv"], {**order["env"], process_table.MARKER: marker})
    except BaseException as error:  # noqa: BLE001 - whatever it is, a forked child must not run the parent's code
        os.write(2, f"cannot start {order['argv'][0]}: {error}\n".encode())
    os._exit(_CANNOT_START)


def _drop_to(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    _prctl(_PR_SET_NO_NEW_PRIVS)


def _prctl(option: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _supervises(pid: int, runs_dir: Path) -> bool:
    """Whether `pid` is the supervisor of another run of this directory: that run has its own name and its own end.

    The release program starts services that way. The record decides, which only the platform can write.
    """
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if __spec__ is None or __spec__.name not in argv:
            return False
        run_dir = Path(argv[argv.index(__spec__.name) + 1])
        record = json.loads((run_dir / "status.json").read_text())
    except (OSError, ValueError, IndexError):
        return False
    return bool(run_dir.parent == runs_dir and record["supervisor_pid"] == pid)


def _ticks(pid: int) -> int | None:
    found = process_table.entry(pid)
    return None if found is None else found.start_ticks


def main() -> None:
    """Detach, take the run's lock, and supervise. Leaves silently if another supervisor has the run."""
    run_dir, start_lock = Path(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(start_lock, False)
    order = json.loads(sys.stdin.buffer.read())
    if os.fork() > 0:
        # The starter waits for this one only: the supervisor itself has no parent.
        os._exit(0)
    life_lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(life_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if (run_dir / "status.json").exists():
        return
    _prctl(_PR_SET_CHILD_SUBREAPER)
    supervision = Supervision(run_dir, order)
    supervision.begin()
    # The run can be seen from now on: other starters may look, and ours need not wait any longer.
    os.close(start_lock)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    supervision.run()


if __name__ == "__main__":
    main()
