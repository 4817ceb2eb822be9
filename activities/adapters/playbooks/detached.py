"""Runs of the release program that outlive whoever started them: created or adopted by name, followed, stopped."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import activities
from activities.adapters.packages.pip_settings import INSTALLER_VARIABLES
from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.runs.follower import LineFollower
from activities.adapters.runs.states import RunStatus
from activities.adapters.runs.supervisor import SupervisedCommand, Supervisor
from activities.ports import Follow
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.progress import FineEvent

_FOLLOW_S = 0.5
_AT_ONCE_PER_CORE = 2
"""Releases and the builds that they start: with twenty on two cores, servers were too busy to answer SSH in time."""
_ORDER = "order"
_MAX_LOG = 5_000_000
NO_CONNECTION = 255
"""The exit code of a program over SSH whose connection failed or broke."""
_PASSED_ON = (*INSTALLER_VARIABLES, "TMPDIR")
"""What building an environment needs to reach the package registry."""


@dataclass(frozen=True)
class DetachedOrder:
    """`given` is the input of the program `argv`. It holds secrets, in a file of mode 0600 while the run is active."""

    ident: str
    task_id: str
    argv: list[str]
    given: bytes = field(repr=False)
    timeout_s: int = 1800


@dataclass(frozen=True)
class DetachedResult:
    """`answer` is the last thing that the program reported, None if nothing; `log` is the whole output."""

    exit_code: int | None
    timed_out: bool
    answer: dict[str, Any] | None
    log: bytes


class DetachedReleases:
    """The runs of one installation. `home` is its state directory."""

    def __init__(self, home: Path, supervisor: Supervisor) -> None:
        self._home = home
        self._root = home / "orders"
        self._supervisor = supervisor
        self._slots = asyncio.Semaphore(_AT_ONCE_PER_CORE * (os.cpu_count() or 1))

    async def run(self, order: DetachedOrder, follow: Follow) -> DetachedResult:
        """Start or adopt the run and follow it to its end; events are keyed `<ident>:<offset>`.

        A finished run is adopted with its result. A lost one (its supervisor was killed, or the machine rebooted) runs
        again from the start. Cancelling the caller does not stop the run. If many runs are active, a run waits for its
        turn. Raises PLAYBOOK_LOST (transient) when the run was lost, killed or stopped by somebody else while it was
        followed, SERVER_UNREACHABLE (transient) when its server could not be reached, and what the program reports if
        that may pass: the next call starts again.
        """
        async with self._turn(follow):
            await self._begin(order)
            follower = _StepFollower(self._supervisor, follow, order.ident, order.ident, order.task_id)
            status, _ = await follower.follow(order.ident, _told)
        await asyncio.to_thread(self._forget, order.ident)
        log, _ = self._supervisor.read_output(order.ident, 0, _MAX_LOG)
        result = DetachedResult(status.exit_code, status.timed_out, _last_word(log), log)
        if trouble := _passing(status, result):
            await self.stop(order.ident)
            raise trouble
        return result

    async def stop(self, ident: str, grace_s: float = 2.0) -> None:
        """Stop the run and everything that it started; delete its secrets, and free its name."""
        async with file_lock(self._root / ".lock"):
            pass
        await self._clear(ident, grace_s)

    def sweep(self) -> None:
        """Delete the secrets of runs that ended while nobody followed them. Called when the platform starts."""
        for order in self._root.glob("*/"):
            if self._supervisor.status(order.name).state != "running":
                self._forget(order.name)

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

    async def _begin(self, order: DetachedOrder) -> None:
        """Create or adopt. The lock keeps two starters from writing the order of one run at once."""
        async with file_lock(self._root / ".lock"):
            state = self._supervisor.status(order.ident).state
            if state == "lost":
                await self._clear(order.ident, 0)
            if state in {"absent", "lost"}:
                file = self._root / order.ident / _ORDER
                file.parent.mkdir(mode=0o700, exist_ok=True)
                await asyncio.to_thread(write_private, file, order.given)
                await self._supervisor.start(self._command(order, file))

    async def _clear(self, ident: str, grace_s: float) -> None:
        await self._supervisor.stop(ident, grace_s=grace_s)
        await asyncio.to_thread(self._supervisor.remove, ident)
        await asyncio.to_thread(self._forget, ident)

    def _forget(self, ident: str) -> None:
        shutil.rmtree(self._root / ident, ignore_errors=True)

    def _command(self, order: DetachedOrder, file: Path) -> SupervisedCommand:
        argv = ["/bin/sh", "-c", 'exec "$@" <"$0"', str(file), *order.argv]
        return SupervisedCommand(order.ident, argv, self._home, program_environment(), timeout_s=order.timeout_s)


class _StepFollower(LineFollower):
    """Shows people each step as it starts, and why one failed."""

    def _event(self, offset: int, number: int, text: str) -> FineEvent:
        told = super()._event(offset, number, text)
        line = json.loads(text)
        if answer := line.get("answer"):
            changes: dict[str, str | None] = {"type": "failed", "message": None, "error": bounded(answer["msg"], 3_900)}
        else:
            changes = {"message": line["step"]}
        changes["current_step"] = (answer or line)["step"][:200]
        return told.model_copy(update={"event": told.event.model_copy(update=changes)})


def program_environment() -> dict[str, str]:
    """The environment for programs of the platform on this machine: what they import, and how to reach package
    registries."""
    passed_on = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED_ON)}
    return passed_on | {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": os.devnull,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(activities.__file__).resolve().parent.parent),
    }


def _told(line: bytes) -> list[str]:
    said = said_in(line)
    return [line.decode()] if "step" in said or said.get("answer", {}).get("failed") else []


def said_in(line: bytes) -> dict[str, Any]:
    """What the program reports in a line; empty if something else wrote that line."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def reported(answer: dict[str, Any]) -> OrchestratorError:
    """The error that the program reports. The only engine that it asks is that of its server."""
    code = ErrorCode(answer["code"])
    code = ErrorCode.SERVER_UNREACHABLE if code is ErrorCode.DOCKER_UNREACHABLE else code
    kind = ErrorClass.TRANSIENT if answer["retryable"] else ErrorClass.PERMANENT
    return OrchestratorError(code, answer["msg"], error_class=kind)


def _last_word(log: bytes) -> dict[str, Any] | None:
    return next((said["answer"] for line in reversed(log.splitlines()) if "answer" in (said := said_in(line))), None)


def _passing(status: RunStatus, result: DetachedResult) -> OrchestratorError | None:
    """Why the next call should start again; None if this result is final."""
    if status.timed_out:
        return None
    answer = result.answer or {}
    if answer.get("retryable"):
        return reported(answer)
    if status.exit_code == NO_CONNECTION and not answer:
        reason = f"The server cannot be reached: {bounded(result.log.decode(errors='replace').strip(), 500)}"
        return OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, reason)
    if status.state != "exited" or (status.exit_code or 0) < 0:
        return OrchestratorError.transient(ErrorCode.PLAYBOOK_LOST, "The deploy was interrupted; trying again.")
    return None
