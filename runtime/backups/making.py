"""A backup while the platform works: copies of one moment are put beside each other, then restic reads them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.backups import Backup, BackupManifest
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.backups import copies, databases, server_data, service_data, states
from runtime.backups.restic import Repository, repository_of
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from runtime.temporal.client import connect_config

STAGED = "backups/staged"
MANIFEST = f"{STAGED}/manifest.json"
LIVE = ("agents", "services", "answers", "containers/answers", "environment")
"""Read where they are: agents and services change them at any time."""
_LEFT_OUT = (
    "services/*/candidates",
    "agents/**/node_modules/.cache",
    "agents/**/__pycache__",
    "services/**/__pycache__",
)
_ENDPOINTS = "processes/endpoints.json"


async def make_backup(settings: Settings, backup_id: str) -> Backup:
    """Make the backup `backup_id`, or find it: a repetition after a kill makes no second one.

    Nothing is stopped, and nothing waits. Raises BACKUP_RUNNING (transient) while another one is being made here,
    and other codes that begin with BACKUP_.
    """
    repository = repository_of(settings)
    with alone(settings, "made") as held:
        try:
            made, unread = await _made(settings, repository, backup_id, held)
        except Exception as error:
            states.keep_trouble(settings, error)
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, settings.home / STAGED, True)
        states.keep(settings, states.state_of(settings).model_copy(
            update={"last": made, "unread": unread, "trouble": None, "trouble_at": None}
        ))  # fmt: skip
    return made


async def list_backups(settings: Settings) -> list[Backup]:
    """Every backup in the repository, of other homes and machines, too; the oldest first."""
    return [as_backup(one) for one in await repository_of(settings).snapshots()]


def as_backup(snapshot: dict[str, Any]) -> Backup:
    """A snapshot of restic's. What its tags do not say stays empty."""
    tags = dict(tag.partition("=")[::2] for tag in snapshot.get("tags") or [])
    return Backup(
        id=snapshot["id"], backup_id=tags.get("id", ""), made_at=snapshot["time"],
        host=snapshot.get("hostname", ""), home=tags.get("home", ""), version=tags.get("version", ""),
    )  # fmt: skip


async def _made(settings: Settings, repository: Repository, backup_id: str, held: int) -> tuple[Backup, int]:
    await repository.create_if_absent()
    tags = (f"id={backup_id}", f"home={home_tag(settings)}", f"version={settings.version}")
    if not (found := await repository.snapshots(tags[0])):
        await _stage(settings, backup_id)
        paths = [STAGED, *(name for name in LIVE if (settings.home / name).exists())]
        snapshot, unread = await repository.backup(paths, settings.home, tags, _LEFT_OUT, held)
        found, unread_files = await repository.snapshots(tags[0]), unread
        if not found:
            raise OrchestratorError(ErrorCode.BACKUP_FAILED, f"restic does not know its own backup {snapshot}.")
    else:
        unread_files = 0
    await repository.keep_within(settings.backup_keep_days, tags[1])
    return as_backup(found[-1]), unread_files


def home_tag(settings: Settings) -> str:
    """Marks the backups of one home. A tag has no commas, and a path may have some."""
    return hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]


async def _stage(settings: Settings, backup_id: str) -> None:
    """Databases first, files last. Whoever refers to something is copied before it: what is referred to is written
    before the reference, and removed long after it, so a later copy has it."""
    staged, left_out = settings.home / STAGED, _elsewhere(settings)
    await asyncio.to_thread(_emptied, staged)
    keys = await asyncio.to_thread(copies.copy_keys, settings.codec_key_file.parent, staged / "keys")
    address = databases.address_of(settings)
    temporal = _own_temporal(settings, left_out)
    counts, facts = await databases.copy_databases(temporal, address, staged)
    repositories = await asyncio.to_thread(copies.copy_forge, settings.forge_dir, staged / "forge")
    artifacts = await asyncio.to_thread(copies.copy_artifacts, settings.artifacts_dir, staged / "artifacts")
    service_databases, as_files = await asyncio.to_thread(
        service_data.copy_service_databases, settings.home, settings.services_dir, staged / "service-databases"
    )
    servers, not_copied = await server_data.copy_server_data(settings.home, staged / "servers")
    manifest = BackupManifest(
        backup_id=backup_id, made_at=utc_now(), version=settings.version, home=str(settings.home),
        addresses=_addresses(settings), migration=facts.migration, postgres_version=facts.version,
        tables=facts.tables, temporal_namespace=str(connect_config(settings).get("namespace", "default")),
        temporal=counts, repositories=repositories, artifacts=artifacts, keys=keys,
        service_databases=service_databases, servers=servers, left_out=[*left_out, *as_files, *not_copied],
    )  # fmt: skip
    private_files.create(settings.home / MANIFEST, manifest.model_dump_json(indent=1))


def _elsewhere(settings: Settings) -> list[str]:
    """What this installation has outside of its home, in words."""
    report, found = RuntimeReport.read(settings.runtime_report_file), list[str]()
    if settings.server is not None:
        found.append(f"data of the services on {settings.server}")
    if report is not None and report.work == "containers":
        found.append("what agents have not committed, which is in Docker volumes")
    return found


def _own_temporal(settings: Settings, left_out: list[str]) -> Path | None:
    target = str(connect_config(settings).get("target_host"))
    if target == settings.temporal_address:
        return settings.temporal_db_file
    left_out.append(f"Temporal at {target}: open runs, which that server's own backup has")
    return None


def _addresses(settings: Settings) -> dict[str, int | str | None]:
    try:
        known = json.loads((settings.home / _ENDPOINTS).read_text())
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in known.items() if isinstance(value, int | str)}


def _emptied(staged: Path) -> None:
    shutil.rmtree(staged, ignore_errors=True)
    private_files.make_directory(staged)


@contextmanager
def alone(settings: Settings, done: str) -> Iterator[int]:
    """One at a time of a home is `done` ("made", "verified"). restic inherits the lock of one that is made: it may
    outlive us, and reads what is staged. Raises BACKUP_RUNNING (transient)."""
    private_files.make_directory(settings.backups_dir)
    held = os.open(settings.backups_dir / f"{done}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(held, done)
        yield held
    finally:
        os.close(held)


def _lock(held: int, done: str) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OrchestratorError.transient(
            ErrorCode.BACKUP_RUNNING, f"Another backup of this platform is being {done}. Wait for it, then try again."
        ) from None
