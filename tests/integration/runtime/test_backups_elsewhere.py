"""Repositories of backups in an object store and over SFTP; data of services on a server in a container."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.adapters.containers import command as docker
from contracts.errors import ErrorCode, OrchestratorError
from runtime.backups.restic import Repository, repository_of
from runtime.backups.server_data import archive_hashes, copy_server_data, put_server_data
from runtime.settings import Settings
from tests.support.object_store import object_store
from tests.support.services.container_service import OneServer, no_engine

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: make restic")
needs_engine = pytest.mark.skipif(no_engine() is not None, reason=str(no_engine()))
CONTENT = "what is kept"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    server = OneServer(tmp_path_factory.mktemp("server"))
    await server.servers.access(server.handle)
    yield server
    await server.remove()


def reached_at(directory: Path, location: str, *access: str) -> Settings:
    """Settings for a repository there, with these lines in the file of access."""
    for name, text in {"password": "correct horse battery staple", "access": "\n".join(access)}.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(text)
    return Settings(
        home=directory / "home", backup_repository=location,
        backup_password_file=directory / "password", backup_access_file=directory / "access",
    )  # fmt: skip


async def kept_and_given_back(repository: Repository, directory: Path) -> None:
    """A backup of a file, made, found, checked and restored."""
    (directory / "kept").mkdir()
    (directory / "kept" / "file").write_text(CONTENT)
    await repository.create_if_absent()
    await repository.create_if_absent()
    made, unread = await repository.backup(["kept"], directory, ["id=one", "home=here"], [], 0)
    assert unread == 0
    [found] = await repository.snapshots("id=one")
    assert found["id"].startswith(made)
    await repository.check(sample_percent=100)
    await repository.keep_within(1, "home=here")
    await repository.restore(found["id"], directory / "restored")
    assert (directory / "restored" / "kept" / "file").read_text() == CONTENT


@pytest.mark.deep
async def test_backups_are_kept_in_an_object_store(tmp_path: Path) -> None:
    async with object_store("AKIAEXAMPLE") as store:
        settings = reached_at(
            tmp_path,
            store.url,
            "# of the bucket",
            "AWS_ACCESS_KEY_ID=AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY=s3cret-key-1",
        )
        await kept_and_given_back(repository_of(settings), tmp_path)
        assert not [key for key, content in store.objects.items() if CONTENT.encode() in content]
        packs = [key for key in store.objects if key.startswith("data/")]
        for key in packs:
            store.objects[key] = store.objects[key][:-50] + bytes(50)
        with pytest.raises(OrchestratorError) as failure:
            await repository_of(settings).check(sample_percent=100)
        assert failure.value.code is ErrorCode.BACKUP_DAMAGED
        wrong = reached_at(tmp_path, store.url, "AWS_ACCESS_KEY_ID=OTHER", "AWS_SECRET_ACCESS_KEY=s3cret-key-1")
        with pytest.raises(OrchestratorError) as failure:
            await repository_of(wrong).create_if_absent()
        assert failure.value.code is ErrorCode.BACKUP_UNREACHABLE
        assert "s3cret-key-1" not in failure.value.message


@pytest.mark.deep
@needs_engine
async def test_backups_are_kept_over_sftp(server: OneServer, tmp_path: Path) -> None:
    access = await server.servers.access(server.handle)
    location = f"sftp://{access.user}@{access.host}:{access.port}//home/{access.user}/backups"
    options = f"SSH_OPTIONS=-i {access.key_file} -oUserKnownHostsFile={access.known_hosts_file}"
    await kept_and_given_back(repository_of(reached_at(tmp_path, location, options)), tmp_path)
    assert (await server.run(f"ls /home/{access.user}/backups")).split()[:2] == ["config", "data"]
    unknown = tmp_path / "nobody_known"
    unknown.touch()
    strange = reached_at(tmp_path, location, f"SSH_OPTIONS=-i {access.key_file} -oUserKnownHostsFile={unknown}")
    with pytest.raises(OrchestratorError) as failure:
        await repository_of(strange).create_if_absent()
    assert failure.value.code is ErrorCode.BACKUP_UNREACHABLE, "a host that nobody has looked at is not trusted"
    assert unknown.read_text() == ""


FURNISH = """
set -e
rm -rf /srv/notes /srv/.users && mkdir -p /srv/notes/data/photos /srv/notes/releases/r1 /srv/.front-door /srv/.users
echo -n p-1 > /srv/notes/.project; echo {} > /srv/.users/users.json; echo {} > /srv/.front-door/routes.json
echo -n picture > /srv/notes/data/photos/one; ln -s /etc/shadow /srv/notes/data/link; mkfifo /srv/notes/data/pipe
chown -R 70001:70001 /srv/notes/data; chmod 700 /srv/notes/data
cat > /tmp/service.py <<'END'
import sqlite3, time
database = sqlite3.connect("/srv/notes/data/notes.db", isolation_level=None)
database.execute("PRAGMA journal_mode=WAL"); database.execute("PRAGMA wal_autocheckpoint=0")
database.execute("CREATE TABLE notes (text)")
for number in range(10):
    database.execute("INSERT INTO notes VALUES ('of a visitor')")
open("/srv/notes/data/ready", "w").close()
time.sleep(600)
END
setpriv --reuid 70001 --regid 70001 --clear-groups python3 /tmp/service.py >/dev/null 2>&1 & echo $! > /tmp/service.pid
while [ ! -e /srv/notes/data/ready ]; do sleep 0.1; done
"""
LOOK = """
cd /srv; find . -printf '%P %y %u %m %l\\n' | sort; cat notes/.project notes/data/photos/one
cat > /tmp/count.py <<'END'
import sqlite3
print(sqlite3.connect("/srv/notes/data/notes.db").execute("SELECT count(*) FROM notes").fetchone())
END
python3 /tmp/count.py
"""


@pytest.mark.deep
@needs_engine
async def test_data_of_services_on_a_server_in_a_container_is_copied_while_they_write(
    server: OneServer, tmp_path: Path
) -> None:
    await server.run(FURNISH)
    (tmp_path / "servers").mkdir()
    hashes, left_out = await copy_server_data(server.home, tmp_path / "servers")
    assert left_out == []
    assert list(hashes) == [server.handle]
    assert hashes == await asyncio.to_thread(archive_hashes, tmp_path / "servers")
    await server.run("kill $(cat /tmp/service.pid); rm -rf /srv/notes /srv/.users /srv/.front-door")
    for _ in range(2):
        await put_server_data(tmp_path / "servers" / f"{server.handle}.tar", server.servers.container(server.handle))
    seen = (await server.run(LOOK)).splitlines()
    assert "notes/data d 70001 700 " in seen
    assert "notes/data/photos/one f 70001 644 " in seen
    assert "notes/data/link l 70001 777 /etc/shadow" in seen, "as a link, not as what it leads to"
    assert "notes/.project f root 644 " in seen
    assert ".users/users.json f root 644 " in seen
    assert not [line for line in seen if line.startswith(("notes/releases", ".front-door", "notes/data/pipe"))]
    assert not [line for line in seen if line.startswith("notes/data/notes.db-")]
    assert seen[-1] == "p-1picture(10,)"


@pytest.mark.deep
@needs_engine
async def test_a_server_that_does_not_run_is_named_and_those_of_others_are_not_touched(
    server: OneServer, tmp_path: Path
) -> None:
    (tmp_path / "servers").mkdir()
    assert await copy_server_data(tmp_path / "another-home", tmp_path / "servers") == ({}, [])
    await docker.run("stop", "--time", "5", server.servers.container(server.handle))
    hashes, [left_out] = await copy_server_data(server.home, tmp_path / "servers")
    assert hashes == {}
    assert "does not run" in left_out
