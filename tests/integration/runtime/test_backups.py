"""Backups of a small home with everything that a platform has: made while it is written to, compared, refused."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from contracts.backups import Backup, BackupManifest
from contracts.errors import ErrorCode, OrchestratorError
from runtime.backups import checking, databases, making, restoring, states
from runtime.backups.making import STAGED
from runtime.backups.restic import repository_of
from runtime.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: make restic")

SERVICE_DATABASE = "services/notes/data/notes.db"


@dataclass
class Installation:
    """A home, the backup of it, and what the backup says of itself. `files` is what restic has given back."""

    settings: Settings
    backup: Backup
    manifest: BackupManifest
    files: Path
    database_url: str

    def elsewhere(self, **chosen: Any) -> Settings:
        return self.settings.model_copy(update=chosen)


@pytest.fixture(scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Backed up while both databases are written to, verified, and given back."""
    root = tmp_path_factory.mktemp("backups")
    for directory in (root, *root.parents[:2]):
        directory.chmod(0o755)
    settings = Settings(
        home=root / "home", backup_repository=str(root / "repository"), backup_password_file=root / "password"
    )
    write(root / "password", "correct horse battery staple", 0o600)
    furnish(settings)
    async with databases.server_in(settings.postgres_dir) as url:
        await create_tables(url)
        writing = asyncio.create_task(write_rows(url))
        with temporal_writes(settings.temporal_db_file):
            backup = await making.make_backup(settings, "first")
            again = await making.make_backup(settings, "first")
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        assert again.id == backup.id, "a repetition after a kill makes no second one"
        manifest = await checking.verify_backup(settings)
        files = root / "files"
        await repository_of(settings).restore(backup.id, files)
        yield Installation(settings, backup, manifest, files, url)


def furnish(settings: Settings) -> None:
    home = settings.home
    home.mkdir(mode=0o711)
    write(home / "keys" / "vault.json", "{}", 0o600)
    write(home / "keys" / "server" / "id_ed25519", "a key of servers", 0o600)
    repository = settings.forge_dir / "u1" / "notes.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(repository))
    tree = git("--git-dir", str(repository), "mktree", stdin="").strip()
    commit = git("--git-dir", str(repository), "commit-tree", tree, "-m", "first").strip()
    git("--git-dir", str(repository), "update-ref", "refs/heads/main", commit)
    transcript = b"what an agent said"
    name = hashlib.sha256(transcript).hexdigest()
    write(settings.artifacts_dir / name[:2] / name, transcript.decode(), 0o600)
    write(home / "agents" / "workspaces" / "w-1" / "draft.py", "print('not committed')", 0o644)
    database = home / SERVICE_DATABASE
    database.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(database)) as service:
        service.execute("PRAGMA journal_mode=WAL")
        service.execute("CREATE TABLE notes (text)")
        service.execute("INSERT INTO notes VALUES ('of a visitor')")
        service.commit()
    settings.temporal_db_file.parent.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(settings.temporal_db_file)) as temporal:
        temporal.execute("PRAGMA journal_mode=WAL")
        temporal.execute("CREATE TABLE executions (id)")


def write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text)


def git(*arguments: str, stdin: str | None = None) -> str:
    person = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
    person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
    done = subprocess.run(
        ["git", *arguments], input=stdin, capture_output=True, text=True, check=True, env={**os.environ, **person}
    )
    return done.stdout


async def create_tables(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE alembic_version (version_num text)")
    await connection.execute("INSERT INTO alembic_version VALUES ('0042')")
    await connection.execute("CREATE TABLE projects (id int); CREATE TABLE tasks (id int)")
    await connection.execute("INSERT INTO projects VALUES (1), (2)")
    await connection.close()


async def write_rows(url: str) -> None:
    """Without end, so that counts that were not taken at one moment differ."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        while True:
            await connection.execute("INSERT INTO tasks SELECT generate_series(1, 50)")
            await asyncio.sleep(0.005)
    finally:
        await connection.close()


@contextlib.contextmanager
def temporal_writes(file: Path) -> Iterator[None]:
    """Another process writes to Temporal's database meanwhile."""
    script = (
        "import sqlite3, sys, time\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n"
        "print('writing', flush=True)\n"
        "while True:\n    database.execute('INSERT INTO executions VALUES (1)'); time.sleep(0.005)\n"
    )
    with subprocess.Popen(["python3", "-c", script, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        assert process.poll() is None, "nothing that works was disturbed"
        process.kill()


def refused(failure: pytest.ExceptionInfo[OrchestratorError]) -> tuple[ErrorCode, str]:
    return failure.value.code, failure.value.message


# What a backup holds


def test_the_manifest_counts_one_moment(installation: Installation) -> None:
    manifest = installation.manifest
    assert manifest.tables["projects"] == 2
    assert manifest.tables["tasks"] % 50 == 0
    assert manifest.migration == "0042"
    assert manifest.temporal["executions"] > 0
    assert set(manifest.repositories) == {"u1/notes.git"}
    assert set(manifest.keys) == {"vault.json", "server/id_ed25519"}
    assert manifest.service_databases == [SERVICE_DATABASE]


async def test_the_home_remembers_and_has_no_copies_left(installation: Installation) -> None:
    state = states.state_of(installation.settings)
    assert state.last is not None
    assert (state.last.id, state.verified, state.trouble) == (installation.backup.id, installation.backup.id, None)
    left = {path.name for path in installation.settings.backups_dir.iterdir()}
    assert left == {"made.lock", "verified.lock", "state.json"}
    [listed] = await making.list_backups(installation.settings)
    assert (listed.id, listed.home) == (installation.backup.id, making.home_tag(installation.settings))


def test_nothing_of_it_can_be_read_in_the_repository(installation: Installation) -> None:
    repository = Path(str(installation.settings.backup_repository))
    stored = b"".join(path.read_bytes() for path in repository.rglob("*") if path.is_file())
    assert not [
        word for word in (b"not committed", b"a key of servers", b"of a visitor", b"notes.git") if word in stored
    ]


# Restoring


async def test_a_platform_is_restored_with_its_keys_code_and_data(installation: Installation, tmp_path: Path) -> None:
    into = tmp_path / "new" / "home"
    done = await restoring.restore_backup(installation.settings, into, addresses={"api_port": 18180})
    assert (done.home, done.withheld) == (into, True)
    assert (into / "keys" / "vault.json").stat().st_mode & 0o777 == 0o600
    assert (into / "agents" / "workspaces" / "w-1" / "draft.py").read_text() == "print('not committed')"
    assert git("--git-dir", str(into / "forge" / "u1" / "notes.git"), "log", "--format=%s", "main").strip() == "first"
    with contextlib.closing(sqlite3.connect(into / SERVICE_DATABASE)) as service:
        assert service.execute("SELECT text FROM notes").fetchall() == [("of a visitor",)]
    assert '"api_port": 18180' in (into / "processes" / "endpoints.json").read_text()
    async with databases.server_in(into / "postgres") as url:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        assert await connection.fetchval("SELECT count(*) FROM tasks") == installation.manifest.tables["tasks"]
        await connection.close()
    settings = installation.elsewhere(home=into)
    assert not (into / "keys" / "server").exists(), "the platform of before may still deploy to its servers"
    assert [restoring.adopt_servers(settings) for _ in range(2)] == [True, False]
    assert (into / "keys" / "server" / "id_ed25519").read_text() == "a key of servers"
    with pytest.raises(OrchestratorError) as failure:
        await restoring.restore_backup(installation.settings, into)
    assert refused(failure) == (ErrorCode.CONFLICT, f"{into} is not empty. Nothing is ever restored over something: "
                                                    "name a new directory.")  # fmt: skip


async def test_a_backup_that_is_not_there_is_named(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError) as failure:
        await restoring.restore_backup(installation.settings, tmp_path / "home", "ffffffff")
    assert refused(failure)[0] is ErrorCode.NOT_FOUND
    assert list(tmp_path.iterdir()) == []


# What is not as it was is refused


def artifact_changed(staged: Path) -> None:
    write(staged / "artifacts" / "ab" / ("ab" * 32), "other content", 0o600)


def key_lost(staged: Path) -> None:
    (staged / "keys" / "vault.json").unlink()


def commit_lost(staged: Path) -> None:
    shutil.rmtree(staged / "forge" / "u1" / "notes.git" / "objects")
    (staged / "forge" / "u1" / "notes.git" / "objects").mkdir()


def branch_moved(staged: Path) -> None:
    head = staged / "forge" / "u1" / "notes.git" / "refs" / "heads"
    shutil.copy(head / "main", head / "another")


def rows_lost(staged: Path) -> None:
    with contextlib.closing(sqlite3.connect(staged / "temporal.db")) as temporal:
        temporal.execute("DELETE FROM executions")
        temporal.commit()


def page_overwritten(staged: Path) -> None:
    with (staged / "temporal.db").open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(200))


def database_of_a_service_lost(staged: Path) -> None:
    (staged / "service-databases" / SERVICE_DATABASE).unlink()


def manifest_lost(staged: Path) -> None:
    (staged / "manifest.json").unlink()


@pytest.mark.parametrize(
    "harm",
    [artifact_changed, key_lost, commit_lost, branch_moved, rows_lost, page_overwritten, database_of_a_service_lost,
     manifest_lost],
)  # fmt: skip
async def test_a_copy_that_differs_from_its_manifest_is_refused(
    installation: Installation, tmp_path: Path, harm: Any
) -> None:
    shutil.copytree(installation.files, tmp_path / "files")
    await checking.compare(tmp_path / "files", whole=True)
    harm(tmp_path / "files" / STAGED)
    with pytest.raises(OrchestratorError) as failure:
        await checking.compare(tmp_path / "files", whole=True)
    assert refused(failure)[0] is ErrorCode.BACKUP_DAMAGED


async def test_a_form_of_a_newer_version_is_refused(installation: Installation, tmp_path: Path) -> None:
    shutil.copytree(installation.files / STAGED, tmp_path / STAGED)
    newer = installation.manifest.model_copy(update={"format": 2, "version": "9.9"})
    (tmp_path / making.MANIFEST).write_text(newer.model_dump_json())
    with pytest.raises(OrchestratorError) as failure:
        await checking.compare(tmp_path, whole=True)
    assert refused(failure)[0] is ErrorCode.BACKUP_REFUSED
    assert "9.9" in failure.value.message


async def test_a_dump_that_was_cut_off_is_refused(installation: Installation, tmp_path: Path) -> None:
    shutil.copytree(installation.files / STAGED, tmp_path / STAGED)
    await checking.check_dump(tmp_path, installation.manifest, await empty_database(installation, "whole"))
    dump = tmp_path / STAGED / "postgres.dump"
    os.truncate(dump, dump.stat().st_size * 3 // 4)
    with pytest.raises(OrchestratorError) as failure:
        await checking.check_dump(tmp_path, installation.manifest, await empty_database(installation, "cut_off"))
    assert refused(failure)[0] is ErrorCode.BACKUP_DAMAGED


async def test_a_dump_with_other_rows_is_refused(installation: Installation) -> None:
    tables = {**installation.manifest.tables, "tasks": 7}
    with pytest.raises(OrchestratorError) as failure:
        await checking.check_dump(
            installation.files,
            installation.manifest.model_copy(update={"tables": tables}),
            await empty_database(installation, "other_rows"),
        )
    assert refused(failure)[0] is ErrorCode.BACKUP_DAMAGED
    assert "rows of tasks differ" in failure.value.message


async def empty_database(installation: Installation, name: str) -> str:
    """The URL of a new database beside the home's own."""
    connection = await asyncpg.connect(installation.database_url.replace("+asyncpg", ""))
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    parts = urlsplit(installation.database_url)
    return urlunsplit(parts._replace(path=f"/{name}"))


async def test_a_damaged_repository_is_refused_and_nothing_is_left_behind(
    installation: Installation, tmp_path: Path
) -> None:
    copy = tmp_path / "repository"
    shutil.copytree(str(installation.settings.backup_repository), copy)
    for pack in (path for path in (copy / "data").rglob("*") if path.is_file()):
        pack.chmod(0o600)
        with pack.open("r+b") as file:
            file.seek(pack.stat().st_size // 3)
            file.write(os.urandom(64))
    settings = installation.elsewhere(backup_repository=str(copy))
    with pytest.raises(OrchestratorError) as failure:
        await restoring.restore_backup(settings, tmp_path / "home")
    assert refused(failure)[0] is ErrorCode.BACKUP_DAMAGED
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]


# What is missing is said


async def test_one_backup_at_a_time(installation: Installation) -> None:
    settings = installation.settings
    for name, second in {
        "made": making.make_backup(settings, "second"),
        "verified": checking.verify_backup(settings),
    }.items():
        with (settings.backups_dir / f"{name}.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(OrchestratorError, match=f"is being {name}") as failure:
                await second
        assert refused(failure)[0] is ErrorCode.BACKUP_RUNNING
        assert failure.value.retryable
    assert states.state_of(settings).trouble is None, "nothing is wrong with that"


async def test_another_password_opens_nothing(installation: Installation, tmp_path: Path) -> None:
    write(tmp_path / "password", "incorrect horse", 0o600)
    with pytest.raises(OrchestratorError) as failure:
        await making.list_backups(installation.elsewhere(backup_password_file=tmp_path / "password"))
    assert refused(failure)[0] is ErrorCode.BACKUP_REFUSED
    assert "incorrect horse" not in str(failure.value.details) + failure.value.message


@pytest.mark.parametrize("where", ["sftp:nobody@127.0.0.1:/backups", "sftp://nobody@127.0.0.1:1//backups",
                                   "s3:http://127.0.0.1:1/backups"])  # fmt: skip
async def test_a_repository_that_does_not_answer_is_no_reason_to_make_one(
    installation: Installation, where: str
) -> None:
    settings = installation.elsewhere(backup_repository=where)
    with pytest.raises(OrchestratorError) as failure:
        await repository_of(settings).create_if_absent()
    assert refused(failure)[0] is ErrorCode.BACKUP_UNREACHABLE
    assert "cannot be reached" in failure.value.message
    assert failure.value.retryable


async def test_a_directory_without_a_repository_is_told_apart(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError) as failure:
        await making.list_backups(installation.elsewhere(backup_repository=str(tmp_path)))
    assert refused(failure)[0] is ErrorCode.BACKUP_UNREACHABLE
    assert "`orchestrator backup now` makes one" in failure.value.message


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"backup_repository": None}, "ORCHESTRATOR_BACKUP_REPOSITORY"),
        ({"backup_password_file": None}, "ORCHESTRATOR_BACKUP_PASSWORD_FILE"),
    ],
)
async def test_what_is_not_set_up_is_named(installation: Installation, missing: dict[str, Any], said: str) -> None:
    with pytest.raises(OrchestratorError) as failure:
        await making.list_backups(installation.elsewhere(**missing))
    assert refused(failure)[0] is ErrorCode.BACKUP_NOT_SET_UP
    assert said in failure.value.message


async def test_without_restic_its_package_is_named(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OrchestratorError) as failure:
        await making.list_backups(installation.settings)
    assert refused(failure)[0] is ErrorCode.BACKUP_NOT_SET_UP
    assert "apt-get install restic" in failure.value.message


async def test_a_password_that_others_can_read_is_refused(installation: Installation, tmp_path: Path) -> None:
    write(tmp_path / "password", "correct horse battery staple", 0o600)
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(OrchestratorError) as failure:
        await making.list_backups(installation.elsewhere(backup_password_file=tmp_path / "password"))
    assert "chmod 600" in failure.value.message
