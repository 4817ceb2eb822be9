"""Detached playbook runs with a fixed ident: create or adopt, follow, stop.

`ansible-runner run` is the main process of a supervised run whose name is the ident. Compared with
`ansible-runner start`, which detaches by itself: the exit code is recorded atomically also when the runner is
killed, two starts at once give one run, a stop reaches every process (Ansible's workers have sessions of their
own), and waiting costs nothing. Both outlive the Temporal worker.
"""

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import activities
from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.states import RunStatus
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.ports import Follow
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.progress import FineEvent, ProgressEvent

_SOURCE_ROOT = Path(activities.__file__).resolve().parent.parent
PLAYBOOKS = _SOURCE_ROOT / "infra" / "playbooks"
_FOLLOW_S = 0.5
_AT_ONCE_PER_CORE = 2
"""Playbooks and the builds that they start: with twenty on two cores, servers were too busy to answer SSH in time."""
_LONGEST_SOCKET = 107 - 17
"""Of a path of a socket on Linux, without what ssh adds while it makes one."""
_MAX_LOG = 5_000_000
_PASSED_ON = (*INSTALLER_VARIABLES, "TMPDIR")
"""What building an environment needs to reach the package registry."""


@dataclass(frozen=True)
class Playbook:
    """One run. `secret_files` (name to text) exist with mode 0600 while it runs, beside `variables` as JSON.

    A variable may name a secret file's path through `PlaybookRunner.path`. `host` holds the inventory variables of
    the server that it is for, None means this machine.
    """

    ident: str
    playbook: str
    task_id: str
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    secret_files: dict[str, str] = field(default_factory=dict, repr=False)
    timeout_s: int = 1800
    host: dict[str, str | int | bool] | None = None


@dataclass(frozen=True)
class PlaybookResult:
    """`failure` is what the failed module returned (`msg`, `code`); `log` is the whole output.

    `image` is the container image that a task said it has made or found.
    """

    ok: bool
    exit_code: int | None
    timed_out: bool
    task: str | None
    failure: dict[str, Any]
    log: bytes
    image: str | None = None


class PlaybookRunner:
    """Runs playbooks of `infra/playbooks` on this machine. `home` is the state directory of the platform."""

    def __init__(self, home: Path, supervisor: Supervisor, python: str = sys.executable) -> None:
        self._root = home / "playbooks"
        self._supervisor = supervisor
        self._python = python
        self._slots = asyncio.Semaphore(_AT_ONCE_PER_CORE * (os.cpu_count() or 1))

    def path(self, ident: str, name: str) -> Path:
        """Where the secret file `name` of a run is while it runs."""
        return self._root / ident / "secret" / name

    def connection(self, ident: str) -> Path | None:
        """The socket through which the tasks of a run share one connection; None where a socket's path is too long."""
        socket = self._root / f"{hashlib.sha256(ident.encode()).hexdigest()[:12]}.ssh"
        return socket if len(os.fsencode(socket)) <= _LONGEST_SOCKET else None

    async def run(self, playbook: Playbook, follow: Follow) -> PlaybookResult:
        """Start or adopt the run and follow it to its end; events are keyed `<ident>:<counter>`.

        A finished run is adopted with its result, a lost one (its supervisor was killed, or a reboot) runs again
        from the start. Cancelling the caller leaves the run alone. Raises PLAYBOOK_LOST (transient) when the run
        is lost, killed or stopped from outside while it is followed, or when its server could not be reached:
        the next call starts again. A run waits for its turn while many others run.
        """
        async with self._turn(follow):
            # Shielded: half a start would be invisible to the stop that follows a cancellation.
            await asyncio.shield(asyncio.ensure_future(self._begin(playbook)))
            status = await self._follow(playbook, follow)
        await asyncio.to_thread(self._forget_secrets, playbook.ident)
        if status.state != "exited" or _killed(status):
            await self.stop(playbook.ident)
            raise OrchestratorError(
                ErrorCode.PLAYBOOK_LOST, "The playbook was lost while it ran.", error_class=ErrorClass.TRANSIENT
            )
        if status.exit_code and await asyncio.to_thread(self._was_unreachable, playbook.ident):
            await self.stop(playbook.ident)
            raise OrchestratorError(
                ErrorCode.PLAYBOOK_LOST, "The server could not be reached.", error_class=ErrorClass.TRANSIENT
            )
        return await asyncio.to_thread(self._result, playbook.ident, status)

    @asynccontextmanager
    async def _turn(self, follow: Follow) -> AsyncIterator[None]:
        taken = asyncio.ensure_future(self._slots.acquire())
        try:
            while not (await asyncio.wait({taken}, timeout=_FOLLOW_S))[0]:
                await follow.report([], follow.offset)
            yield
        finally:
            if not taken.cancel():
                self._slots.release()

    async def stop(self, ident: str, grace_s: float = 2.0) -> None:
        """Stop the run and everything that it started; its secrets and its name are gone when this returns."""
        async with self._starting():
            pass
        await self._clear(ident, grace_s)

    async def _begin(self, playbook: Playbook) -> None:
        """Create or adopt. The lock keeps two starters from writing the files of one run at the same time."""
        async with self._starting():
            state = self._supervisor.status(playbook.ident).state
            if state == "lost":
                await self._clear(playbook.ident, 0)
            if state in {"absent", "lost"}:
                await asyncio.to_thread(self._prepare, playbook)
                await self._supervisor.start(self._command(playbook))

    def _starting(self) -> AbstractAsyncContextManager[object]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return file_lock(self._root / ".lock")

    async def _clear(self, ident: str, grace_s: float) -> None:
        await self._supervisor.stop(ident, grace_s=grace_s)
        await asyncio.to_thread(self._supervisor.remove, ident)
        await asyncio.to_thread(self._forget_secrets, ident)
        await asyncio.to_thread(shutil.rmtree, self._root / ident, ignore_errors=True)

    def sweep(self) -> None:
        """Forget the secrets of runs that ended while they were not followed. Called when the platform starts."""
        for root in self._root.glob("*/"):
            if self._supervisor.status(root.name).state != "running":
                self._forget_secrets(root.name)

    def _prepare(self, playbook: Playbook) -> None:
        root = self._root / playbook.ident
        shutil.rmtree(root, ignore_errors=True)
        for name in ("env", "inventory", "secret"):
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        host = playbook.host or {"ansible_connection": "local", "ansible_python_interpreter": self._python}
        inventory = {"all": {"hosts": {"server": host}}}
        write_private(root / "inventory" / "hosts.json", json.dumps(inventory))
        write_private(root / "env" / "extravars", json.dumps(playbook.variables))
        for name, text in playbook.secret_files.items():
            write_private(root / "secret" / name, text)

    def _forget_secrets(self, ident: str) -> None:
        for name in ("secret", "env"):
            shutil.rmtree(self._root / ident / name, ignore_errors=True)
        if socket := self.connection(ident):
            # An ssh that is killed leaves its own.
            socket.unlink(missing_ok=True)

    def _command(self, playbook: Playbook) -> SupervisedCommand:
        root = self._root / playbook.ident
        argv = [self._python, "-m", "ansible_runner", "run", str(root), "--ident", playbook.ident]
        argv += ["--playbook", playbook.playbook, "--project-dir", str(PLAYBOOKS)]
        passed_on = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED_ON)}
        home = Path.home()
        env = {
            # Those of the user, which the playbook's own HOME hides.
            "XDG_CONFIG_HOME": str(home / ".config"),
            "NETRC": str(home / ".netrc"),
            **passed_on,
            "PATH": f"{Path(self._python).parent}:{os.defpath}",
            "HOME": str(root),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(_SOURCE_ROOT),
            "ANSIBLE_HOME": str(root / "ansible"),
            "ANSIBLE_ACTION_PLUGINS": str(PLAYBOOKS / "action_plugins"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        }
        return SupervisedCommand(playbook.ident, argv, root, env, timeout_s=playbook.timeout_s)

    async def _follow(self, playbook: Playbook, follow: Follow) -> RunStatus:
        offset = follow.offset
        ended = asyncio.ensure_future(self._supervisor.wait(playbook.ident))
        try:
            while True:
                await asyncio.wait({ended}, timeout=_FOLLOW_S)
                finished = ended.done()
                found = await asyncio.to_thread(self._events, playbook.ident, offset)
                offset = max([offset, *(counter for counter, _ in found)])
                await follow.report(_fine_events(playbook, found), offset)
                if finished:
                    return ended.result()
        finally:
            ended.cancel()

    def _events(self, ident: str, after: int) -> list[tuple[int, dict[str, Any]]]:
        """Events with a counter above `after`, in order."""
        directory = self._root / ident / "artifacts" / ident / "job_events"
        found = []
        for file in directory.glob("*.json"):
            counter = file.name.partition("-")[0]
            if counter.isdigit() and int(counter) > after and not file.stem.endswith("-partial"):
                found.append((int(counter), json.loads(file.read_text())))
        return sorted(found, key=lambda event: event[0])

    def _was_unreachable(self, ident: str) -> bool:
        return any(event["event"] == "runner_on_unreachable" for _, event in self._events(ident, 0))

    def _result(self, ident: str, status: RunStatus) -> PlaybookResult:
        events = [event for _, event in self._events(ident, 0)]
        failed = [event for event in events if event["event"] == "runner_on_failed"]
        done = [event["event_data"].get("res", {}) for event in events if event["event"] == "runner_on_ok"]
        data = failed[-1]["event_data"] if failed else {}
        log, _ = self._supervisor.read_output(ident, 0, _MAX_LOG)
        return PlaybookResult(
            ok=status.exit_code == 0 and not status.timed_out,
            exit_code=status.exit_code,
            timed_out=status.timed_out,
            task=data.get("task"),
            failure={key: data.get("res", {}).get(key) for key in ("msg", "code")},
            log=log,
            image=next((answer["image"] for answer in reversed(done) if answer.get("image")), None),
        )


def _killed(status: RunStatus) -> bool:
    return (status.exit_code or 0) < 0 and not status.timed_out


def _fine_events(playbook: Playbook, events: list[tuple[int, dict[str, Any]]]) -> list[FineEvent]:
    """What people want to see: each task as it starts, and why one failed."""
    fine = []
    for counter, event in events:
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start":
            told = ProgressEvent(type="progress", request_id=playbook.ident, message=str(data.get("name")))
        elif event["event"] in {"runner_on_failed", "runner_on_unreachable"}:
            why = str(data.get("res", {}).get("msg") or "the task failed")
            told = ProgressEvent(type="failed", request_id=playbook.ident, error=bounded(why, 3_900))
        else:
            continue
        step = {"task_id": playbook.task_id, "current_step": str(data.get("task", ""))[:200]}
        fine.append(FineEvent(key=f"{playbook.ident}:{counter}", event=told.model_copy(update=step)))
    return fine
