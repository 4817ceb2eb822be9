"""Prevents two `up` of one home at the same time, which would start everything twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from filelock import AsyncFileLock, Timeout

from cli.host.parts import Parts
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files

_WAIT_S = 180.0
_POLL_S = 0.2


@asynccontextmanager
async def one_start_at_a_time(parts: Parts, out: Output) -> AsyncIterator[None]:
    """Hold the lock with which one `up` of a home starts parts; the kernel frees it when its holder is killed.

    Raises SETTINGS_INVALID when the home cannot be written, CONFLICT when another `up` takes longer than 180 s.
    """
    lock = AsyncFileLock(
        parts.settings.processes_dir / "up.lock",
        mode=0o600, poll_interval=_POLL_S, run_in_executor=False, fallback_to_soft=False,
    )  # fmt: skip
    try:
        private_files.make_directory(parts.settings.processes_dir)
        await _acquire(lock, out)
    except OSError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"{parts.settings.home} cannot be used: {error.strerror}. Choose another with ORCHESTRATOR_HOME.",
        ) from error
    try:
        yield
    finally:
        await lock.release()


async def _acquire(lock: AsyncFileLock, out: Output) -> None:
    try:
        await lock.acquire(blocking=False)
    except Timeout:
        out.say("Another `orchestrator up` is starting this platform; waiting for it.")
    else:
        return
    try:
        await lock.acquire(timeout=_WAIT_S)
    except Timeout:
        raise OrchestratorError(
            ErrorCode.CONFLICT,
            f"Another `orchestrator up` has been starting for {_WAIT_S:g} s. Wait for it, then try again.",
        ) from None
