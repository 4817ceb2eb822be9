"""One holder at a time for a named thing on this machine; the kernel frees the lock of a holder that is killed."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from filelock import AsyncFileLock

from contracts.errors import ErrorCode, OrchestratorError

_POLL_S = 0.02


def file_lock(path: Path) -> AsyncFileLock:
    """A lock for `async with`, waited for without a limit. Its file is created when absent and never removed.

    Tries without waiting, on the event loop: enough waiters in threads would leave none for the work of the holder.
    Never falls back to a marker file, which would outlive a holder that is killed.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return AsyncFileLock(path, mode=0o600, poll_interval=_POLL_S, run_in_executor=False, fallback_to_soft=False)


def machine_lock(name: str) -> AsyncFileLock:
    """A lock for what all installations of this user on this machine share.

    Everybody may make a directory where it is. Raises OrchestratorError PROCESS_FAILED when somebody else was first:
    who owns the directory could hold the lock for ever, or have us empty the file that a link leads to.
    """
    path = Path(tempfile.gettempdir(), f"codegen-orchestrator-{os.getuid()}", f"{name}.lock")
    lock = file_lock(path)
    facts = path.parent.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        reason = f"{path.parent} is not this user's own, or is open to others. Remove it; it only holds locks."
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, reason)
    return lock
