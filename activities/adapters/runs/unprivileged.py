"""Numeric users of this machine, one for each agent, tested project and service.

Standard library only: servers have it.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import json
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from activities.adapters.runs.states import RunAs
from contracts.errors import ErrorCode, OrchestratorError

_FIRST_UID = 20_000
_UIDS = 30_000
"""Below 65536, so that the users exist in a container with the usual range of ids."""


class UserTable:
    """Who has which user, in `<directory>/users.json`. A user has one owner, whatever the owner is called.

    One table serves all installations of a machine, because a user is the same for all of them. `root` is the directory
    that the owners of this installation live in; when it is gone, their users are free again.
    """

    def __init__(self, directory: Path, root: Path) -> None:
        self._file = directory / "users.json"
        self._root = str(root)

    def claim(self, owner: str, held: Path | None = None) -> RunAs:
        """The owner's user, the same for every call; the first call chooses one that nobody else has.

        `held` is something of the owner's that older platforms gave to a user of their own choice: that user is kept
        unless it has another owner. Raises OrchestratorError PROCESS_FAILED when no user is left.
        """
        with self._locked():
            table = self._read()
            uid = self._of(table, owner)
            if uid is None:
                uid = _holder(held, table) or self._next(table)
                table["users"][str(uid)] = {"owner": owner, "root": self._root}
                table["last"] = uid
                self._write(table)
        return RunAs(uid, uid)

    def release(self, owner: str) -> None:
        """Forget an owner of whom no file is left; the user goes to somebody else after all others have been used."""
        with self._locked():
            table = self._read()
            uid = self._of(table, owner)
            if uid is not None:
                del table["users"][str(uid)]
                self._write(table)

    def _of(self, table: dict[str, Any], owner: str) -> int | None:
        wanted = {"owner": owner, "root": self._root}
        return next((int(uid) for uid, entry in table["users"].items() if entry == wanted), None)

    def _next(self, table: dict[str, Any]) -> int:
        """In turn, so that a released user is the last to be given again: files of before may still be somewhere."""
        begin = int(table["last"]) + 1 - _FIRST_UID
        for step in range(_UIDS):
            uid = _FIRST_UID + (begin + step) % _UIDS
            entry = table["users"].get(str(uid))
            if (entry is None or not Path(entry["root"]).exists()) and not _is_known(uid):
                return uid
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"All {_UIDS} users of this machine are taken. Remove projects, or installations that you do not use.",
        )

    def _read(self) -> dict[str, Any]:
        try:
            table: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {"users": {}, "last": _FIRST_UID - 1}
        return table

    def _write(self, table: dict[str, Any]) -> None:
        draft = self._file.with_name(f".users.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(table, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._file.with_name(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _holder(held: Path | None, table: dict[str, Any]) -> int | None:
    with suppress(OSError):
        uid = held.stat().st_uid if held is not None else 0
        free = _FIRST_UID <= uid < _FIRST_UID + _UIDS and str(uid) not in table["users"]
        return uid if free and not _is_known(uid) else None
    return None


def _is_known(number: int) -> bool:
    """Whether the machine itself has given this number to a person or a service."""
    for find in (pwd.getpwuid, grp.getgrgid):
        with suppress(KeyError):
            find(number)
            return True
    return False


def give(path: Path, user: RunAs | None) -> None:
    """Make `user` the owner of a directory and everything below it; links themselves, never their targets.

    Whoever owns something in there may exchange it meanwhile: directories are held open, so that one which becomes a
    link leads nowhere else. What is removed meanwhile needs no owner. A file that has a second name stays as it is:
    that may be one of somebody else's, which was linked into the directory.
    """
    if user is None:
        return
    os.chown(path, user.uid, user.gid, follow_symlinks=False)
    try:
        for _, directories, files, folder in os.fwalk(path, follow_symlinks=False):
            for name in (*directories, *files):
                with suppress(FileNotFoundError):
                    _give_entry(name, folder, user)
    except (RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EMFILE:
            raise
        reason = f"Directories in {path.name} are nested too deeply; remove the deepest ones."
        raise OrchestratorError(ErrorCode.INVALID_INPUT, reason) from None


def _give_entry(name: str, folder: int, user: RunAs) -> None:
    """Looked at and given by one handle: in between, nothing else can take the name."""
    entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        facts = os.fstat(entry)
        if stat.S_ISDIR(facts.st_mode) or facts.st_nlink == 1:
            os.chown(f"/proc/self/fd/{entry}", user.uid, user.gid)
    finally:
        os.close(entry)
