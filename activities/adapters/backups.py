"""Backups of this installation, made by the process that sees all of its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from contracts.backups import BackupMade, BackupVerified
from contracts.base import utc_now
from runtime.backups import checking, making, states
from runtime.settings import Settings


@dataclass(frozen=True)
class InstallationBackups:
    """Into the repository that the settings name."""

    settings: Settings

    async def make(self, backup_id: str) -> BackupMade:
        made = await making.make_backup(self.settings, backup_id)
        return BackupMade(
            id=made.id, unread=states.state_of(self.settings).unread, verify_due=self._is_verification_due()
        )

    async def verify(self, snapshot_id: str) -> BackupVerified:
        manifest = await checking.verify_backup(self.settings, snapshot_id)
        return BackupVerified(
            id=snapshot_id,
            projects=manifest.tables.get("projects", 0),
            rows=sum(manifest.tables.values()),
            repositories=len(manifest.repositories),
            artifacts=manifest.artifacts.files,
        )

    def _is_verification_due(self) -> bool:
        last = states.state_of(self.settings).verified_at
        return last is None or utc_now() - last >= timedelta(days=self.settings.backup_verify_days)
