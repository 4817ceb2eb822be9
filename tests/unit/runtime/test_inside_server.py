"""The program that archives the data of a server's services, on a directory in the place of `/srv`."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.backups import inside_server

ON_ANOTHER_ROOT = "import sys; from runtime.backups import inside_server as it; it.ROOT = sys.argv[1]; it.main()"


@dataclass
class Archive:
    files: dict[str, tarfile.TarInfo]
    content: dict[str, bytes]
    said: list[str]


def archived(root: Path) -> Archive:
    done = subprocess.run([sys.executable, "-c", ON_ANOTHER_ROOT, str(root)], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        files = {one.name: one for one in archive.getmembers()}
        read = {name: archive.extractfile(one) for name, one in files.items() if one.isreg()}
        content = {name: file.read() for name, file in read.items() if file is not None}
    return Archive(files, content, done.stderr.decode().splitlines())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data of one project, on a server that also has what its next deploy makes."""
    root = tmp_path / "notes"
    for name in ("releases/r1", "candidates/r2", "data/photos"):
        (root / name).mkdir(parents=True)
    (root / ".project").write_text("p-1")
    (root / ".lock").touch()
    (root / "current").symlink_to("releases/r1")
    (root / "data" / "photos" / "one").write_bytes(b"picture" * 1000)
    for name in (".front-door", ".users", ".removed/old/releases"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".front-door" / "routes.json").touch()
    (tmp_path / ".users" / "users.json").write_text("{}")
    return root / "data"


@pytest.fixture
def writing(data: Path) -> Iterator[sqlite3.Connection]:
    """A service that has written to a database whose file does not have it yet."""
    with closing(sqlite3.connect(data / "notes.db", isolation_level=None)) as service:
        service.execute("PRAGMA journal_mode=WAL")
        service.execute("PRAGMA wal_autocheckpoint=0")
        service.execute("CREATE TABLE notes (text)")
        service.execute("INSERT INTO notes VALUES ('of a visitor')")
        yield service


def test_data_and_what_the_server_knows_of_projects_is_in_it_and_nothing_that_a_deploy_makes(data: Path) -> None:
    found = archived(data.parents[1])
    assert found.content["notes/data/photos/one"] == b"picture" * 1000
    assert found.content["notes/.project"] == b"p-1"
    assert ".users/users.json" in found.files
    assert ".removed/old/releases" in found.files, "of removed projects everything is kept"
    left_out = ("notes/releases", "notes/candidates", "notes/current", "notes/.lock", ".front-door")
    assert not [name for name in found.files if name.startswith(left_out)]
    assert found.files["notes/data/photos/one"].mode == (data / "photos" / "one").stat().st_mode & 0o7777


def test_a_link_is_a_link_and_no_way_out(data: Path) -> None:
    (data / "link").symlink_to("/etc/hostname")
    (data / "folder").symlink_to("/etc")
    os.mkfifo(data / "pipe")
    found = archived(data.parents[1])
    assert (found.files["notes/data/link"].issym(), found.files["notes/data/folder"].issym()) == (True, True)
    assert not [name for name in found.files if name.startswith(("notes/data/folder/", "notes/data/pipe"))]


def test_a_database_is_copied_with_what_its_file_does_not_have_yet(
    data: Path, writing: sqlite3.Connection, tmp_path: Path
) -> None:
    found = archived(data.parents[1])
    assert found.said == []
    assert not [name for name in found.files if name.startswith("notes/data/notes.db-")]
    (tmp_path / "copy.db").write_bytes(found.content["notes/data/notes.db"])
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("of a visitor",)]
    assert writing.execute("SELECT count(*) FROM notes").fetchone() == (1,)


def test_a_database_that_cannot_be_copied_is_there_as_its_files_are_and_is_named(data: Path) -> None:
    (data / "broken.db").write_bytes(inside_server.SQLITE + b"no pages")
    (data / "broken.db-wal").write_bytes(b"what was written last")
    found = archived(data.parents[1])
    assert found.said == ["not a consistent copy: notes/data/broken.db"]
    assert found.content["notes/data/broken.db"] == inside_server.SQLITE + b"no pages"
    assert found.content["notes/data/broken.db-wal"] == b"what was written last"


@pytest.mark.parametrize("change", [b"", b"more than before"])
def test_a_file_that_changes_while_it_is_read_takes_the_room_that_it_had(tmp_path: Path, change: bytes) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"12345678")
    with file.open("rb") as opened:
        padded = inside_server.Padded(opened, 8)
        file.write_bytes(change)
        assert len(padded.read(5) + padded.read(100)) == 8
        assert padded.read(1) == b""
