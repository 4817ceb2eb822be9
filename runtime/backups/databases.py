"""Copies of both databases from one moment, while they are written to.

First Temporal's, then the platform's, milliseconds apart: what a history says was done is then in the platform's
database. The other way round, a run would go on from a release or a port that nobody knows. What is newer in the
platform's database looks to a run like the work of a Temporal worker that was killed before it could say so, and every
step can live with that (docs/decisions/0002).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from contracts.errors import ErrorCode, OrchestratorError, end_of
from contracts.redaction import redacted
from runtime.embedded import postgres
from runtime.settings import Settings, database_address

_STOP_S = 30.0
_COUNTED = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1"
)


@dataclass(frozen=True)
class DatabaseFacts:
    """Rows by table, the newest migration, and the version of the server."""

    tables: dict[str, int]
    migration: str
    version: str


def address_of(settings: Settings) -> str:
    """The URL of the platform's database. Raises BACKUP_FAILED where this process does not know it."""
    known = database_address(settings)
    if known is None and not (settings.postgres_dir / "PG_VERSION").exists():
        raise OrchestratorError(
            ErrorCode.BACKUP_FAILED,
            f"There is no database in {settings.home}; `orchestrator up --detach` makes one. With one of your own, run "
            "`orchestrator backup now` where DATABASE_URL is set: the Temporal workers, which make scheduled backups, "
            "do not have it.",
        )
    return known or postgres.prepare(settings.postgres_dir, settings.postgres_port).url


async def copy_databases(temporal_db: Path | None, url: str, to: Path) -> tuple[dict[str, int], DatabaseFacts]:
    """Write `temporal.db` and `postgres.dump` below `to`; rows by table of both. Nothing waits for a copy."""
    with _seen(temporal_db) as temporal:
        async with _frozen(url) as (connection, snapshot):
            facts = await _facts(connection)
            await _dump(url, snapshot, to / "postgres.dump")
        counts = await asyncio.to_thread(_copied, temporal, to / "temporal.db") if temporal else {}
    return counts, facts


def sqlite_counts(path: Path) -> dict[str, int]:
    """Rows by table. Blocks. Raises BACKUP_DAMAGED for a file that is no sound database."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
            [found] = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            return _counts(database)
    except sqlite3.Error as error:
        raise OrchestratorError(ErrorCode.BACKUP_DAMAGED, f"The database {path.name} is damaged: {error}.") from error


async def restore_dump(dump: Path, url: str) -> DatabaseFacts:
    """Fill an empty database from a dump; what is in it then. Raises BACKUP_DAMAGED."""
    await _program(
        "pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", f"--dbname={_name(url)}", str(dump),
        url=url, code=ErrorCode.BACKUP_DAMAGED,
    )  # fmt: skip
    async with _frozen(url) as (connection, _):
        return await _facts(connection)


@asynccontextmanager
async def server_in(directory: Path) -> AsyncIterator[str]:
    """The URL of an embedded PostgreSQL with this data directory, which is made, and runs for as long as this does."""
    command = await asyncio.to_thread(postgres.prepare, directory)
    log = directory.with_name(f"{directory.name}.log")
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command.argv, env=command.env, cwd=command.cwd, user=command.user_id, group=command.group_id,
            extra_groups=None if command.user_id is None else [], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        await postgres.wait_ready(command.url)
        yield command.url
    finally:
        process.send_signal(postgres.STOP_SIGNAL)
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        log.unlink(missing_ok=True)


@contextmanager
def _seen(path: Path | None) -> Iterator[sqlite3.Connection | None]:
    """A connection that sees the database as it is now, whatever is written meanwhile. It holds up no writer."""
    if path is None:
        yield None
        return
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    with closing(database):
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield database


def _copied(database: sqlite3.Connection | None, target: Path) -> dict[str, int]:
    """Copies in one step, as of the transaction that is open."""
    assert database is not None
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    with closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        # As a file of its own: a copy in WAL mode would want two more beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        return _counts(copy)


def _counts(database: sqlite3.Connection) -> dict[str, int]:
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE '%VIRTUAL%'"
    )
    names = sorted(name for (name,) in tables)
    return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


@asynccontextmanager
async def _frozen(url: str) -> AsyncIterator[tuple[Any, str]]:
    """A connection in a transaction that sees one moment, and the name by which others see the same."""
    import asyncpg

    try:
        connection = await asyncpg.connect(_plain(url), timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise OrchestratorError(
            ErrorCode.DATABASE_UNREACHABLE,
            "The platform's database does not answer, and a backup is made while it runs: `orchestrator up --detach`, "
            "then again.",
            details={"cause": type(error).__name__},
        ) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection, str(await connection.fetchval("SELECT pg_export_snapshot()"))
    finally:
        await connection.close()


async def _facts(connection: Any) -> DatabaseFacts:  # noqa: ANN401 - asyncpg has no types
    names = [row["relname"] for row in await connection.fetch(_COUNTED)]
    tables = {name: int(await connection.fetchval(f'SELECT count(*) FROM public."{name}"')) for name in names}
    migration = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    return DatabaseFacts(tables, str(migration), str(await connection.fetchval("SHOW server_version")))


async def _dump(url: str, snapshot: str, target: Path) -> None:
    # Not compressed: restic does that, and finds what it has already.
    await _program(
        "pg_dump", "--format=custom", "--compress=0", "--no-owner", f"--snapshot={snapshot}", f"--file={target}",
        url=url, code=ErrorCode.BACKUP_FAILED,
    )  # fmt: skip


async def _program(name: str, *arguments: str, url: str, code: ErrorCode) -> None:
    variables = _variables(url)
    process = await asyncio.create_subprocess_exec(
        str(postgres.programs_dir() / name), *arguments, env=variables,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, umask=0o077,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if process.returncode != 0:
        shown = redacted(said.decode(errors="replace"), [variables.get("PGPASSWORD", "")])
        raise OrchestratorError(code, f"{name} ended with {process.returncode}: {end_of(shown.strip(), 1_000)}")


def _plain(url: str) -> str:
    return url.replace("+asyncpg", "", 1)


def _name(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def _variables(url: str) -> dict[str, str]:
    """The URL in the environment of one process: in arguments everybody could read the password."""
    parts = urlsplit(url)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    found = {
        "PGHOST": asked.get("host") or parts.hostname or "",
        "PGPORT": str(parts.port or asked.get("port") or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": _name(url),
        "PGSSLMODE": asked.get("ssl") or asked.get("sslmode") or "",
    }
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", **{name: value for name, value in found.items() if value}}
