"""Whether a restored copy is what its manifest says."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from contracts.backups import FORMAT, Backup, BackupManifest
from contracts.errors import ErrorCode, OrchestratorError, bounded_list
from runtime import private_files
from runtime.backups import copies, databases, server_data, states
from runtime.backups.making import MANIFEST, STAGED, alone, as_backup
from runtime.backups.restic import Repository, repository_of
from runtime.settings import Settings

_SAMPLE_PERCENT = 10


async def verify_backup(settings: Settings, wanted: str | None = None) -> BackupManifest:
    """Check the repository and a sample of its data, restore one backup (the newest unless one is named) into a
    scratch directory, and compare it with its manifest: rows, references, artifacts, keys. Raises BACKUP_DAMAGED.

    It takes as much room as the backup, in the home. A killed one leaves copies there, which the next one removes.
    """
    repository, scratch = repository_of(settings), settings.backups_dir / "verifying"
    with alone(settings, "verified"):
        try:
            backup = await choose(repository, wanted)
            await repository.check(sample_percent=_SAMPLE_PERCENT)
            await asyncio.to_thread(shutil.rmtree, scratch, True)
            private_files.make_directory(scratch)
            await repository.restore(backup.id, scratch / "files")
            manifest = await compare(scratch / "files", whole=True)
            async with databases.server_in(scratch / "postgres") as url:
                await check_dump(scratch / "files", manifest, url)
        except Exception as error:
            states.keep_trouble(settings, error)
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, True)
    states.keep_verified(settings, backup)
    return manifest


async def choose(repository: Repository, wanted: str | None) -> Backup:
    """The backup whose id begins so, or the newest. Raises NOT_FOUND."""
    found = [one for one in map(as_backup, await repository.snapshots()) if one.id.startswith(wanted or "")]
    if not found:
        which = f"no backup {wanted}" if wanted else "no backup yet"
        raise OrchestratorError(
            ErrorCode.NOT_FOUND, f"There is {which} at {repository.shown}. `orchestrator backup list` shows them."
        )
    return found[-1]


async def compare(files: Path, *, whole: bool) -> BackupManifest:
    """The manifest, after all files were found to be as it says. With `whole`, each object of each repository is read.

    Raises BACKUP_DAMAGED with what differs, BACKUP_REFUSED for the form of a newer version.
    """
    return await asyncio.to_thread(_compared, files, whole)


async def check_dump(files: Path, manifest: BackupManifest, url: str) -> None:
    """Fill the empty database of `url` and compare its rows. Raises BACKUP_DAMAGED."""
    facts = await databases.restore_dump(files / STAGED / "postgres.dump", url)
    _refuse(_differences("rows of", manifest.tables, facts.tables))
    if facts.migration != manifest.migration:
        _refuse([f"the migration is {facts.migration} and not {manifest.migration}"])


def _compared(files: Path, whole: bool) -> BackupManifest:
    manifest, staged = _manifest(files), files / STAGED
    wrong = _differences("the key", manifest.keys, copies.key_hashes(staged / "keys"))
    found = {path.relative_to(staged / "forge").as_posix(): path for path in copies.repositories(staged / "forge")}
    facts = {name: copies.repository_facts(path, whole=whole) for name, path in found.items()}
    wrong += _differences("the repository", manifest.repositories, facts)
    if copies.artifact_facts(staged / "artifacts", read=True) != manifest.artifacts:
        wrong.append("the artifacts are others")
    if manifest.temporal:
        wrong += _differences("rows of Temporal's", manifest.temporal, databases.sqlite_counts(staged / "temporal.db"))
    wrong += _differences("data of the server", manifest.servers, server_data.archive_hashes(staged / "servers"))
    copied = staged / "service-databases"
    wrong += [f"{name} is missing" for name in manifest.service_databases if not (copied / name).is_file()]
    _refuse(wrong)
    return manifest


def _manifest(files: Path) -> BackupManifest:
    try:
        written = json.loads((files / MANIFEST).read_text())
        if written["format"] > FORMAT:
            raise OrchestratorError(
                ErrorCode.BACKUP_REFUSED,
                f"Version {written['version']} made this backup in a newer form. Install that version or a later one.",
            )
        return BackupManifest.model_validate(written)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OrchestratorError(
            ErrorCode.BACKUP_DAMAGED,
            "The backup has no manifest that this version can read.",
            details={"cause": type(error).__name__},
        ) from None


def _differences(what: str, wanted: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    names = sorted({*wanted, *found})
    return [f"{what} {name} differ" for name in names if wanted.get(name) != found.get(name)]


def _refuse(wrong: list[str]) -> None:
    if wrong:
        said = "; ".join(bounded_list(wrong, 20, 1_500))
        more = f" and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise OrchestratorError(
            ErrorCode.BACKUP_DAMAGED, f"The backup is not what it was when it was made: {said}{more}. Take another one."
        )
