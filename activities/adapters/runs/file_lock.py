"""One holder at a time for a named thing on this machine; the kernel frees the lock of a holder that is killed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import AsyncFileLock

_POLL_S = 0.02


def file_lock(path: Path) -> AsyncFileLock:
    """A lock for `async with`, waited for without a limit. Its file is created when absent and never removed.

    Tries without waiting, on the event loop: enough waiters in threads would leave none for the work of the holder.
    Never falls back to a marker file, which would outlive a holder that is killed.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return AsyncFileLock(path, mode=0o600, poll_interval=_POLL_S, run_in_executor=False, fallback_to_soft=False)


def machine_lock(name: str) -> AsyncFileLock:
    """A lock for what all installations of this user on this machine share."""
    return file_lock(Path(tempfile.gettempdir(), f"codegen-orchestrator-{os.getuid()}", f"{name}.lock"))
