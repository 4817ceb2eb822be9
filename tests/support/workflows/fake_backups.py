"""Backups that are made at once, or not at all."""

from dataclasses import dataclass, field

from contracts.backups import BackupMade, BackupVerified
from contracts.errors import OrchestratorError


@dataclass
class FakeBackups:
    """`made` and `verified` are the ids of each attempt, in their order; `errors` are raised first."""

    verify_due: bool = False
    errors: list[OrchestratorError] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)

    async def make(self, backup_id: str) -> BackupMade:
        self.made.append(backup_id)
        if self.errors:
            raise self.errors.pop(0)
        return BackupMade(id="0123abcd", verify_due=self.verify_due)

    async def verify(self, snapshot_id: str) -> BackupVerified:
        self.verified.append(snapshot_id)
        if self.errors:
            raise self.errors.pop(0)
        return BackupVerified(id=snapshot_id, projects=2)
