"""Two `up` of one home at once would start everything twice."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.host.parts import Parts
from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files

_WAIT_S = 180.0
_LOOK_AGAIN_S = 0.2


@asynccontextmanager
async def one_start_at_a_time(parts: Parts, out: Output) -> AsyncIterator[None]:
    """Only one `up` of a home starts parts at a time; the lock ends with its holder."""
    try:
        private_files.make_directory(parts.settings.processes_dir)
        descriptor = os.open(parts.settings.processes_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"{parts.settings.home} cannot be used: {error.strerror}. Choose another with ORCHESTRATOR_HOME.",
        ) from error
    try:
        if not _take(descriptor):
            out.say("Another `orchestrator up` is starting this platform; waiting for it.")
            await _wait(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _wait(descriptor: int) -> None:
    try:
        async with asyncio.timeout(_WAIT_S):
            while not _take(descriptor):  # noqa: ASYNC110 - another process has it: nobody here can tell us
                await asyncio.sleep(_LOOK_AGAIN_S)
    except TimeoutError:
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"Another `orchestrator up` has not finished within {_WAIT_S:g} s."
        ) from None
