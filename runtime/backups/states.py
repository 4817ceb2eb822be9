"""What a home remembers of its backups, for `status` and `doctor`, which must not ask a repository far away."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from contracts.backups import Backup, BackupState
from contracts.base import utc_now
from contracts.errors import OrchestratorError, bounded
from runtime import private_files
from runtime.settings import Settings


def state_of(settings: Settings) -> BackupState:
    """Nothing known where there was no backup yet, or the record cannot be read."""
    try:
        return BackupState.model_validate_json(_file(settings).read_text())
    except (OSError, ValidationError):
        return BackupState()


def keep(settings: Settings, state: BackupState) -> None:
    """Write the record in one step."""
    private_files.make_directory(settings.backups_dir)
    private_files.replace(_file(settings), state.model_dump_json())


def keep_trouble(settings: Settings, error: Exception) -> None:
    """The last good backup stays known. Of an error that is not ours only the kind is told: its text may be any."""
    said = f"INTERNAL: {type(error).__name__}"
    if isinstance(error, OrchestratorError):
        said = bounded(f"{error.code}: {error.message}", 2_000)
    keep(settings, state_of(settings).model_copy(update={"trouble": said, "trouble_at": utc_now()}))


def keep_verified(settings: Settings, backup: Backup) -> None:
    """That this backup was restored and compared."""
    update = {"verified": backup.id, "verified_at": utc_now(), "trouble": None, "trouble_at": None}
    keep(settings, state_of(settings).model_copy(update=update))


def _file(settings: Settings) -> Path:
    return settings.backups_dir / "state.json"
