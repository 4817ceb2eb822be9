"""Inside of a server: writes the data of its services to standard output, as an archive whose names begin below `/srv`.

Standard library only: the text of this file is given to the server's own Python. Root reads what services may change at
any time, so no name is looked up twice and no link is followed. A SQLite database is copied as its owner.
"""

import os
import shutil
import stat
import sys
import tarfile
import tempfile
from typing import BinaryIO

ROOT = "/srv"
NOT_NEEDED = {"releases", "candidates", "current", ".lock"}
"""Of each project: made by its next deploy."""
FRONT_DOOR = ".front-door"
SQLITE = b"SQLite format 3\x00"
BESIDE = ("-wal", "-shm", "-journal")


def main() -> None:
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for folder, folders, names, place in os.fwalk(ROOT, follow_symlinks=False):
            below = os.path.relpath(folder, ROOT)
            depth = 0 if below == "." else below.count("/") + 1
            if depth == 0:
                folders[:] = [name for name in folders if name != FRONT_DOOR]
            if depth == 1 and not below.startswith("."):
                folders[:] = [name for name in folders if name not in NOT_NEEDED]
                names = [name for name in names if name not in NOT_NEEDED]
            broken = set[str]()
            for name in [*folders, *sorted(names)]:  # a database before what is beside it
                add(archive, place, name, os.path.normpath(os.path.join(below, name)), broken)


def add(archive: tarfile.TarFile, place: int, name: str, shown: str, broken: set[str]) -> None:
    """A file that goes meanwhile is left out; so are sockets, pipes and devices. `broken` collects the names of
    databases that could not be copied through SQLite: with what is beside them, they are as good as after a crash."""
    try:
        seen = os.lstat(name, dir_fd=place)
        info = described(seen, shown)
        if stat.S_ISLNK(seen.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=place)
        elif stat.S_ISDIR(seen.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISREG(seen.st_mode):
            add_file(archive, place, name, info, broken)
            return
        else:
            return
    except FileNotFoundError:
        return
    archive.addfile(info)


def described(seen: os.stat_result, shown: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(shown)
    info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, int(seen.st_mtime)
    return info


def add_file(archive: tarfile.TarFile, place: int, name: str, info: tarfile.TarInfo, broken: set[str]) -> None:
    base = next((name[: -len(end)] for end in BESIDE if name.endswith(end)), None)
    if base is not None and base not in broken and is_database(place, base):
        return  # its database is copied whole
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place), "rb") as file:
        owner = os.fstat(file.fileno())
        if file.read(len(SQLITE)) == SQLITE:
            with tempfile.TemporaryDirectory() as scratch:
                copy = os.path.join(scratch, "copy")
                if copied(place, name, owner, scratch, copy):
                    with open(os.open(copy, os.O_RDONLY | os.O_NOFOLLOW), "rb") as whole:
                        put(archive, whole, info)
                    return
            broken.add(name)
            sys.stderr.write(f"not a consistent copy: {info.name}\n")
        file.seek(0)
        put(archive, file, info)


def put(archive: tarfile.TarFile, file: BinaryIO, info: tarfile.TarInfo) -> None:
    """What it has now: what is appended meanwhile is left out, and what is cut off meanwhile is filled with zeros."""
    info.size = os.fstat(file.fileno()).st_size
    archive.addfile(info, Padded(file, info.size))  # type: ignore[arg-type]  # only `read` is called


class Padded:
    """Exactly `left` bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left = file, left

    def read(self, count: int) -> bytes:
        wanted = min(count, self._left)
        self._left -= wanted
        return self._file.read(wanted).ljust(wanted, b"\x00")


def is_database(place: int, name: str) -> bool:
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place), "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def copied(place: int, name: str, owner: os.stat_result, scratch: str, copy: str) -> bool:
    """Copy a database through SQLite, in a process of its owner: it looks the name up again, and may find a link."""
    shutil.chown(scratch, owner.st_uid, owner.st_gid)
    child = os.fork()
    if child == 0:
        try:
            os.fchdir(place)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(owner.st_gid)
                os.setuid(owner.st_uid)
            copy_database(name, copy)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as its parent
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def copy_database(name: str, copy: str) -> None:
    import sqlite3
    from urllib.parse import quote

    source = sqlite3.connect(f"file:{quote(name)}?mode=rw", uri=True, timeout=30)
    target = sqlite3.connect(copy)
    source.backup(target)
    target.execute("PRAGMA journal_mode=DELETE")
    target.close()


if __name__ == "__main__":
    main()
