"""Reading and writing inside a directory that an untrusted program also writes to.

Every step of a path is opened relative to the one before and never through a symbolic link, so that a link planted
between a check and its use leads nowhere.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from activities.adapters.runs.states import RunAs
from contracts.errors import ErrorCode, OrchestratorError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FORBIDDEN = {"", ".", "..", ".git"}


def write_inside(root: Path, path: str, content: bytes, owner: RunAs | None = None) -> None:
    """Put `content` at `path` below `root` in one step, making directories on the way.

    Raises OrchestratorError INVALID_INPUT for a path that leaves `root`, meets a link, or touches `.git`.
    """
    parts = plain_parts(path)
    try:
        with _folder(root, parts[:-1], owner) as folder:
            draft = f".{secrets.token_hex(8)}.writing"
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(content)
                    if owner is not None:
                        os.fchown(stream.fileno(), owner.uid, owner.gid)
                os.rename(draft, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise
    except OSError as error:
        raise write_refused(path, error.strerror or "it cannot be written") from error


def read_inside(root: Path, path: str, limit: int) -> bytes | None:
    """At most `limit` bytes of a regular file below `root`; None when there is none, or it is larger."""
    try:
        with _folder(root, plain_parts(path)[:-1], None, create=False) as folder:
            # Not waiting: a planted pipe must not hold us.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(plain_parts(path)[-1], flags, dir_fd=folder), "rb") as stream:
                facts = os.fstat(stream.fileno())
                if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit:
                    return None
                content = stream.read(limit + 1)
    except OSError:
        return None
    return content if len(content) <= limit else None


@contextmanager
def _folder(root: Path, parts: list[str], owner: RunAs | None, *, create: bool = True) -> Iterator[int]:
    current = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if create:
                _make(part, current, owner)
            below = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _make(part: str, folder: int, owner: RunAs | None) -> None:
    try:
        os.mkdir(part, 0o755, dir_fd=folder)
    except FileExistsError:
        return
    if owner is not None:
        os.chown(part, owner.uid, owner.gid, dir_fd=folder, follow_symlinks=False)


def plain_parts(path: str) -> list[str]:
    """The parts of a relative path that stays inside; raises OrchestratorError INVALID_INPUT for any other path."""
    parts = path.split("/")
    bad = PurePosixPath(path).is_absolute() or any(one.lower() in _FORBIDDEN or "\0" in one for one in parts)
    if bad or len(path) > 500:
        raise write_refused(path, "it must be a plain path inside the workspace")
    return parts


def write_refused(path: str, why: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.INVALID_INPUT, f"The file {path[:200]!r} was not written: {why}.")
