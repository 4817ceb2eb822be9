"""Numeric users that agents and tests drop to when the platform runs as root."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from activities.adapters.runs.states import RunAs

_FIRST_UID = 20_000
_UIDS = 30_000
"""Below 65536, so that the users exist in a container with the usual range of ids."""


class UnprivilegedUsers:
    """One user per owner (an agent worker, a tested project), the same for every call.

    Dropping needs root, and needs the interpreter, the programs and the directories to be reachable for others.
    Where that does not hold (a home of mode 0700, say), everything runs as ourselves; `obstacle` says why, and
    the status of every run says who it ran as.
    """

    def __init__(self, reachable: Iterable[Path] = (), interpreter: Path | None = None) -> None:
        """`interpreter`: the Python of the programs, when it is not the platform's own."""
        own = [Path(sys.executable), Path(sysconfig.get_path("stdlib"))]
        self._reachable = [*(own if interpreter is None else [interpreter]), *reachable]

    def for_owner(self, owner: str) -> RunAs | None:
        """The user to drop to, or None: run as ourselves."""
        if self.obstacle() is not None:
            return None
        return numeric_user(owner)

    def obstacle(self) -> str | None:
        """Why agents run as the platform's own user; None when they do not. For `doctor` and screens."""
        if os.geteuid() != 0:
            return "the platform does not run as root, so agents share its user"
        for path in self._reachable:
            blocked = blocked_at(path)
            if blocked is not None:
                return f"an unprivileged user cannot reach {blocked}, so agents run as root"
        return None


def numeric_user(owner: str) -> RunAs:
    """The same for the same owner, everywhere."""
    number = _FIRST_UID + int.from_bytes(hashlib.sha256(owner.encode()).digest()[:4]) % _UIDS
    return RunAs(number, number)


def blocked_at(path: Path) -> Path | None:
    """The first part of `path` (links followed) that others may not enter or read; None when they may.

    What does not exist yet is judged by the directory that it will be made in.
    """
    for variant in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}:
        for part in [*reversed(variant.parents), variant]:
            try:
                mode = part.stat().st_mode
            except OSError:
                break
            needed = stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
            if not mode & needed:
                return part
    return None


def give(path: Path, user: RunAs | None) -> None:
    """Make `user` the owner of a directory and everything below it; links themselves, never their targets."""
    if user is None:
        return
    os.chown(path, user.uid, user.gid, follow_symlinks=False)
    for folder, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(os.path.join(folder, name), user.uid, user.gid, follow_symlinks=False)
