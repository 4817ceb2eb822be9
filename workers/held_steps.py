"""What a Temporal worker holds, written down: the successor of one that was killed hands it back at once.

Otherwise each step of a dead worker waits for its heartbeat time-out, which must be long enough for a busy machine.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from temporalio import activity
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.converter import ActivitySerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from contracts.errors import ErrorCode
from contracts.wording import counted

log = structlog.get_logger(__name__)

WORKER_DIED = "WORKER_DIED"
_DIED = "Its Temporal worker was killed; the next one goes on."
_AT_ONCE = timedelta(milliseconds=1)
_RPC_TIMEOUT = timedelta(seconds=5)
_LOCK = "lock"
MAX_DEATHS = 100
"""So often in a row a Temporal worker may be killed soon after a step has begun in it: it may be the step that hangs or
kills it, and each new process would begin to count anew how often that step was given up."""
SOON_S = 300.0


@dataclass(frozen=True)
class Step:
    """One attempt of an activity. The token is of this attempt alone: Temporal refuses it once there is another."""

    token: str
    workflow_id: str
    run_id: str
    workflow_type: str
    activity_id: str
    activity_type: str
    queue: str
    attempt: int


class Deaths:
    """How many workers in a row have died soon after each step had begun: a file below the directory of held steps."""

    def __init__(self, home: Path) -> None:
        self._place = home / ".deaths"

    def of(self, run_id: str, activity_id: str) -> int:
        try:
            return int(self._file(run_id, activity_id).read_text())
        except (OSError, ValueError):
            return 0

    def add(self, step: Step, began: float) -> None:
        """One more; a step that had gone on for long begins anew."""
        before = self.of(step.run_id, step.activity_id) if time.time() - began < SOON_S else 0
        with contextlib.suppress(OSError):
            self._place.mkdir(mode=0o700, exist_ok=True)
            self._file(step.run_id, step.activity_id).write_text(str(before + 1))

    def forget(self, run_id: str, activity_id: str) -> None:
        with contextlib.suppress(OSError):
            self._file(run_id, activity_id).unlink()
            self._place.rmdir()

    def _file(self, run_id: str, activity_id: str) -> Path:
        return self._place / hashlib.sha256(f"{run_id}/{activity_id}".encode()).hexdigest()[:32]


class HeldSteps(Interceptor):
    """Writes a file for each running activity into a directory of this process, locked while the process lives."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._place = home / uuid4().hex
        self._lock: int | None = None
        self._deaths = Deaths(home)

    def open(self) -> None:
        """Make the directory. Nobody sees it before it is locked."""
        draft = self._home / f".{self._place.name}"
        try:
            draft.mkdir(parents=True, mode=0o700)
            self._lock = os.open(draft / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            draft.rename(self._place)
        except OSError as error:
            # On a full disk work goes on; only what is killed then waits for its time-outs.
            log.warning("running steps cannot be written down", reason=str(error))

    def close(self) -> None:
        """Everything was handed back; nothing is left to take over."""
        if self._lock is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Noting(next, self)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """While this attempt runs. What cannot be written down is found by its time-out, as without all this."""
        info = activity.info()
        key = (info.workflow_run_id or "", info.activity_id)
        died = self._deaths.of(*key)
        if died >= MAX_DEATHS:
            self._deaths.forget(*key)
            log.error("a step is given up: its workers died", activity=info.activity_type, workflow_id=info.workflow_id)
            raise _deadly(died)
        file = self._place / hashlib.sha256(info.task_token).hexdigest()[:32]
        step = Step(
            base64.b64encode(info.task_token).decode(),
            info.workflow_id or "",
            info.workflow_run_id or "",
            info.workflow_type or "",
            info.activity_id,
            info.activity_type,
            info.task_queue,
            info.attempt,
        )
        with contextlib.suppress(OSError):
            file.write_text(json.dumps(asdict(step)))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink()
            if died:
                self._deaths.forget(*key)


class _Noting(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, held: HeldSteps) -> None:
        super().__init__(next)
        self._held = held

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: ANN401 - the type of the base class
        with self._held.noted():
            return await super().execute_activity(input)


async def take_over(client: Client, home: Path) -> int:
    """Hand back what workers held that were killed; returns how many steps. Temporal gives them out again at once."""
    handed, deaths = 0, Deaths(home)
    for place, lock in await asyncio.to_thread(_of_the_dead, home):
        try:
            for step, began in await asyncio.to_thread(_steps, place):
                deaths.add(step, began)
                handed += await _hand_back(client, step)
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        finally:
            os.close(lock)
    return handed


def _of_the_dead(home: Path) -> list[tuple[Path, int]]:
    """Directories whose process is gone, each locked by us now."""
    found = []
    for place in sorted(home.glob("[!.]*")):
        try:
            lock = os.open(place / _LOCK, os.O_RDWR)
        except OSError:
            continue  # another successor was faster
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            found.append((place, lock))
    return found


def _steps(place: Path) -> list[tuple[Step, float]]:
    """Each with the time at which it had begun."""
    found = []
    for file in sorted(place.iterdir()):
        if file.name != _LOCK:
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append((Step(**json.loads(file.read_text())), file.stat().st_mtime))
    return found


def _deadly(died: int) -> ApplicationError:
    return ApplicationError(
        f"A Temporal worker was killed {counted(died, 'time')} in a row soon after this step had begun in it, so it is "
        "not tried again. An administrator finds its input and the times in the log; then start the task again.",
        type=ErrorCode.INTERNAL.value,
        non_retryable=True,
    )


async def _hand_back(client: Client, step: Step) -> bool:
    """Fail the attempt that nobody makes any more. Where that is not possible its time-out ends it."""
    died = ApplicationError(_DIED, type=WORKER_DIED, next_retry_delay=_AT_ONCE)
    context = ActivitySerializationContext(
        namespace=client.namespace,
        workflow_id=step.workflow_id,
        workflow_type=step.workflow_type,
        activity_id=step.activity_id,
        activity_type=step.activity_type,
        activity_task_queue=step.queue,
        is_local=False,
    )
    try:
        if not await _is_running(client, step):
            return False
        handle = client.get_async_activity_handle(task_token=base64.b64decode(step.token)).with_context(context)
        await handle.fail(died, rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        log.info(
            "a step of a dead worker waits for its time-out", activity=step.activity_type, status=error.status.name
        )
        return False
    log.info("a dead worker's step goes on", activity=step.activity_type, workflow_id=step.workflow_id)
    return True


async def _is_running(client: Client, step: Step) -> bool:
    """Whether Temporal still waits for this attempt. One that is to be cancelled must not fail instead."""
    handle = client.get_workflow_handle(step.workflow_id, run_id=step.run_id)
    described = await handle.describe(rpc_timeout=_RPC_TIMEOUT)
    return any(
        pending.activity_id == step.activity_id
        and pending.attempt == step.attempt
        and pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        for pending in described.raw_description.pending_activities
    )
