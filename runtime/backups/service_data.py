"""SQLite databases in the data of deployed services: copied whole while they are written to. Everything here blocks.

What is in these directories is the services' own, so it is opened as their user: a name may become a link at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError, end_of

_SQLITE = b"SQLite format 3\x00"
_BESIDE = ("-wal", "-shm", "-journal")
_COPY_S = 600
_COPY = """
import sqlite3, sys
source = sqlite3.connect("file:" + sys.argv[1].replace("?", "%3f").replace("#", "%23"), uri=True)
copy = sqlite3.connect(":memory:")
source.backup(copy)
sys.stdout.buffer.write(copy.serialize())
"""


def copy_service_databases(home: Path, services: Path, to: Path) -> tuple[list[str], list[str]]:
    """A consistent copy of each database; their paths below the home, and in words what could not be copied so: of that
    there are only the files, as after a crash. One that goes meanwhile is left out."""
    found, not_copied = list[str](), list[str]()
    for path in _databases(services):
        name = path.relative_to(home).as_posix()
        target = to / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            if _copied(path, target):
                found.append(name)
        except OrchestratorError as error:
            not_copied.append(f"a consistent copy of {name}: {error.message}")
    return found, not_copied


def put_service_databases(copies: Path, home: Path) -> None:
    """Put the copies in the place of files that were read while they changed, with the owners of those.

    Nothing runs in the home yet. A directory that has become a link leads out of it, and gets nothing.
    """
    for copy in sorted(path for path in copies.rglob("*") if path.is_file()):
        target = home / copy.relative_to(copies)
        if not target.parent.is_dir() or not target.parent.resolve().is_relative_to(home.resolve()):
            continue
        owner = (target if target.is_file() else target.parent).lstat()
        for name in _BESIDE:
            target.with_name(target.name + name).unlink(missing_ok=True)
        os.replace(copy, target)
        if os.geteuid() == 0:
            os.chown(target, owner.st_uid, owner.st_gid)


def _databases(services: Path) -> Iterator[Path]:
    for data in sorted(services.glob("[!.]*/data")):
        for path in sorted(data.rglob("*")):
            if not path.name.endswith(_BESIDE) and _is_sqlite(path):
                yield path


def _is_sqlite(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # a link, a socket, or gone
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(len(_SQLITE)) == _SQLITE
        except OSError:
            return False  # a directory or a pipe


def _copied(path: Path, target: Path) -> bool:
    """Whether there is a copy; a database that its service has just removed has none."""
    try:
        owner = path.lstat()
    except FileNotFoundError:
        return False
    is_root = os.geteuid() == 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _COPY, str(path)], stdout=file, stderr=subprocess.PIPE, cwd="/",
            stdin=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8"}, timeout=_COPY_S, check=False,
            user=owner.st_uid if is_root else None, group=owner.st_gid if is_root else None,
            extra_groups=[] if is_root else None,
        )  # fmt: skip
    if done.returncode == 0:
        return True
    target.unlink()
    if not path.exists():
        return False
    said = end_of(done.stderr.decode(errors="replace").strip(), 300)
    raise OrchestratorError(ErrorCode.BACKUP_FAILED, f"SQLite could not copy it: {said}")
