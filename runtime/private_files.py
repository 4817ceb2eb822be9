"""Files that only their owner may read: made once, whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


def make_directory(directory: Path) -> None:
    """Make a directory of mode 0700; an existing one stays as it is."""
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)


def create(path: Path, content: str) -> bool:
    """Write a new file of mode 0600; True when this call made it.

    An existing file is never touched; of two concurrent processes exactly one succeeds, and no reader sees half a file.
    """
    if path.exists():
        return False
    make_directory(path.parent)
    draft = _write_draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
        sync_directory(path.parent)
    return True


def replace(path: Path, content: str) -> None:
    """Put new content in the file's place, in one step that survives a power cut."""
    os.replace(_write_draft(path, content), path)
    sync_directory(path.parent)


def read(path: Path) -> str:
    """The content; OrchestratorError NOT_FOUND, or KEY_FILE_UNSAFE when others may read the file."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise unsafe(path, f"can be read by others (mode {mode:04o}). Run: chmod 600 {path}")
        return path.read_text()
    except FileNotFoundError:
        raise OrchestratorError(
            ErrorCode.NOT_FOUND,
            f"There is no file {path}. `orchestrator up` creates it on its first run.",
            details={"path": str(path)},
        ) from None
    except OSError as error:
        raise unsafe(path, f"cannot be read: {error.strerror}") from error


def read_or_create(path: Path) -> str:
    """A random text of 43 URL-safe characters, created on the first call and the same on every later one."""
    create(path, secrets.token_urlsafe(32))
    return read(path).strip()


def unsafe(path: Path, why: str) -> OrchestratorError:
    """The error for a private file that must not be used as it is."""
    return OrchestratorError(ErrorCode.KEY_FILE_UNSAFE, f"The private file {path} {why}.", details={"path": str(path)})


def _write_draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def sync_directory(directory: Path) -> None:
    """Make a new or renamed entry of `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
