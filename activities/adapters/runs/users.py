"""Whom agents, tests and services of this machine run as when the platform runs as root."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from activities.adapters.runs.states import RunAs
from activities.adapters.runs.unprivileged import UserTable
from runtime import other_users

MACHINE = Path("/var/lib/codegen-orchestrator")
"""Has the table of users: they belong to the machine and not to one home."""


class UnprivilegedUsers:
    """One user per owner (an agent worker, a tested project, a service), the same for every call.

    Dropping needs root, and needs the interpreter, the programs and the directories to be reachable for others.
    Where that does not hold (a home of mode 0700, say), everything runs as ourselves; `obstacle` says why, and `up`,
    `status` and `doctor` pass it on.
    """

    def __init__(
        self, root: Path, reachable: Iterable[Path] = (), interpreter: Path | None = None, machine: Path = MACHINE
    ) -> None:
        """`root` is the directory that the owners live in. `interpreter`: the Python of the programs, when it is not
        the platform's own."""
        self._reachable = [root, *reachable]
        self._interpreter = interpreter
        self._table = UserTable(machine, root)

    def for_owner(self, owner: str, held: Path | None = None) -> RunAs | None:
        """The user to drop to, or None: run as ourselves. `held` is what the owner already has."""
        if self.obstacle() is not None:
            return None
        return self._table.claim(owner, held)

    def release(self, owner: str) -> None:
        """Forget an owner of whom no file is left."""
        if self.obstacle() is None:
            self._table.release(owner)

    def obstacle(self) -> str | None:
        """Why work runs as the platform's own user; None when it does not."""
        return other_users.obstacle(self._reachable, self._interpreter or Path(sys.executable))
