"""A platform from a backup, in an empty directory: complete or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from contracts.backups import Backup, BackupManifest
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.backups import databases
from runtime.backups.checking import check_dump, choose, compare
from runtime.backups.making import STAGED
from runtime.backups.restic import repository_of
from runtime.backups.service_data import put_service_databases
from runtime.settings import Settings

_SERVER_KEYS = "keys/server"
_WITHHELD = "keys/withheld/server"
_OWN = ".orchestrator-restoring"
"""Marks a directory that an interrupted restore has left."""
RESTORED_SERVERS = "restored-servers"
"""Archives of data of services, until they are in the servers that this home makes."""
_PLACES = {"keys": "keys", "forge": "forge", "artifacts": "artifacts", "temporal.db": "temporal/temporal.db",
           "servers": RESTORED_SERVERS}  # fmt: skip


@dataclass(frozen=True)
class Restored:
    """Where the platform is now. `withheld` says that servers cannot be reached until they are adopted."""

    home: Path
    backup: Backup
    manifest: BackupManifest
    withheld: bool


async def restore_backup(
    settings: Settings, into: Path, wanted: str | None = None, *, addresses: dict[str, int] | None = None,
    adopt: bool = False,
) -> Restored:  # fmt: skip
    """Restore a backup (the newest unless one is named) into `into`, which must be empty or absent.

    It is built beside and renamed at the end: an interrupted restore leaves `into` as it was. `addresses` are ports by
    the names of their settings, instead of those of the backup. Unless `adopt`, the key of servers is put aside: while
    the platform of before may still run, only one of both may deploy to them.

    Raises CONFLICT for a directory with something in it, BACKUP_DAMAGED, and other codes that begin with BACKUP_.
    """
    into = into.absolute()
    _refuse_occupied(into)
    repository = repository_of(settings)
    backup = await choose(repository, wanted)
    draft = into.with_name(f".{into.name}.restoring")
    await asyncio.to_thread(_emptied, draft)
    try:
        await repository.restore(backup.id, draft / "files")
        manifest = await compare(draft / "files", whole=False)
        home = draft / "home"
        private_files.make_directory(home)
        async with databases.server_in(home / "postgres") as url:
            await check_dump(draft / "files", manifest, url)
        withheld = await asyncio.to_thread(_furnish, draft / "files", home, manifest, backup, addresses or {}, adopt)
        await asyncio.to_thread(_put_in_place, home, into)
    finally:
        await asyncio.to_thread(shutil.rmtree, draft, True)
    return Restored(into, backup, manifest, withheld)


def adopt_servers(settings: Settings) -> bool:
    """Let this platform reach its servers again, because the one of before is gone. False: nothing was withheld."""
    withheld, place = settings.home / _WITHHELD, settings.home / _SERVER_KEYS
    if not withheld.is_dir():
        return False
    if place.exists():
        raise OrchestratorError(ErrorCode.CONFLICT, f"{place} is there already. Remove it, or {withheld}.")
    os.rename(withheld, place)
    private_files.sync_directory(place.parent)
    return True


def servers_withheld(settings: Settings) -> bool:
    """Whether this platform was restored and its servers are not adopted yet."""
    return (settings.home / _WITHHELD).is_dir()


def _refuse_occupied(into: Path) -> None:
    if into.exists() and (not into.is_dir() or into.is_symlink() or any(into.iterdir())):
        raise OrchestratorError(
            ErrorCode.CONFLICT, f"{into} is not empty. Nothing is ever restored over something: name a new directory."
        )


def _emptied(draft: Path) -> None:
    if draft.exists() and not (draft / _OWN).exists():
        raise OrchestratorError(ErrorCode.CONFLICT, f"{draft} is in the way. Remove it, or choose another directory.")
    shutil.rmtree(draft, ignore_errors=True)
    private_files.make_directory(draft)
    (draft / _OWN).touch()


def _furnish(
    files: Path, home: Path, manifest: BackupManifest, backup: Backup, addresses: dict[str, int], adopt: bool
) -> bool:
    """Put everything where a home has it; whether keys of servers were put aside."""
    staged = files / STAGED
    for name, place in _PLACES.items():
        if (staged / name).exists():
            private_files.make_directory((home / place).parent)
            os.rename(staged / name, home / place)
    copied = staged / "service-databases"
    for path in sorted(files.iterdir()):
        if path.name != "backups":
            os.rename(path, home / path.name)
    if copied.is_dir():
        put_service_databases(copied, home)
    known = {**manifest.addresses, **addresses}
    private_files.make_directory(home / "processes")
    private_files.replace(home / "processes" / "endpoints.json", json.dumps(known))
    told = {"from_home": manifest.home, "backup": backup.id, "at": utc_now().isoformat()}
    private_files.replace(home / "restored.json", json.dumps(told))
    if adopt or not (home / _SERVER_KEYS).is_dir():
        return False
    private_files.make_directory((home / _WITHHELD).parent)
    os.rename(home / _SERVER_KEYS, home / _WITHHELD)
    return True


def _put_in_place(home: Path, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    os.rename(home, into)
    private_files.sync_directory(into.parent)
