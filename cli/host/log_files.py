"""Logs of the platform's own parts: a full one is put aside, and the oldest goes."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

FULL_BYTES = 20_000_000
KEPT = 3
"""Full logs of a part besides the one that is written to: 80 MB in all."""


def put_aside(log: Path) -> None:
    """Before a part starts: a full log becomes `<name>.1`, that one `<name>.2`, and so on. Nothing is lost."""
    if _is_full(log):
        _make_room(log)
        os.replace(log, _older(log, 1))


def rotate(log: Path) -> bool:
    """While a part writes: copy a full log to `<name>.1` and empty it. True if it was full.

    Parts hold their log open for months and append, so it cannot be renamed. A line that is written between the end of
    the copy and the cut is lost. Without room for the copy the log is emptied all the same: a part that fills the disk
    with its complaints about a full disk is worse than lost complaints.
    """
    if not _is_full(log):
        return False
    with suppress(OSError):
        _make_room(log)
        _copy(log, _older(log, 1))
    os.truncate(log, 0)
    return True


def rotate_all(logs_dir: Path) -> list[str]:
    """Rotate every log of a directory; the names of those that were full."""
    return [log.name for log in sorted(logs_dir.glob("*.log")) if rotate(log)]


def _is_full(log: Path) -> bool:
    try:
        return log.stat().st_size >= FULL_BYTES
    except FileNotFoundError:
        return False


def _make_room(log: Path) -> None:
    for number in range(KEPT, 0, -1):
        with suppress(FileNotFoundError):
            if number == KEPT:
                _older(log, number).unlink()
            else:
                os.replace(_older(log, number), _older(log, number + 1))


def _copy(log: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with log.open("rb") as source, os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
