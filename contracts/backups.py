"""Backups of an installation: what one holds, so that a restored copy can be compared with what was there."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.base import Contract, Identifier
from contracts.steps import Step

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")]
"""An id of restic's; its first eight digits are enough."""

FORMAT = 1
"""Of manifests. It grows with every new field of one: older versions refuse a field that they do not know."""


class RepositoryFacts(Contract):
    """A Git repository: how many references it has, and the hash of their list."""

    refs: int = Field(ge=0)
    sha256: Sha256


class FilesFacts(Contract):
    """Files that never change: how many, their bytes, and the hash of the sorted list of their names."""

    files: int = Field(default=0, ge=0)
    size_bytes: int = Field(default=0, ge=0)
    sha256: Sha256


class BackupManifest(Contract):
    """What a backup holds. `tables` and `temporal` count rows by table; `keys` are hashes of files by name.

    `left_out` says in words what this installation has and the backup has not.
    """

    format: int = FORMAT
    backup_id: Identifier
    made_at: AwareDatetime
    version: str
    """Of the platform that made it."""
    home: str
    addresses: dict[str, int | str | None] = Field(default_factory=dict)
    """Ports and the public address of the platform, by the names of their settings."""
    migration: str
    """The newest migration of the database."""
    postgres_version: str
    tables: dict[str, int]
    temporal_namespace: str
    temporal: dict[str, int] = Field(default_factory=dict)
    repositories: dict[str, RepositoryFacts] = Field(default_factory=dict)
    artifacts: FilesFacts
    keys: dict[str, Sha256] = Field(default_factory=dict)
    service_databases: list[str] = Field(default_factory=list)
    """SQLite databases of deployed services, by their path below the home."""
    servers: dict[str, Sha256] = Field(default_factory=dict)
    """Hashes of the archives of data of services on servers in containers, by handle."""
    left_out: list[str] = Field(default_factory=list)


class Backup(Contract):
    """One backup of the repository, as lists show it. `host` is the machine that made it."""

    id: SnapshotId
    backup_id: str
    made_at: AwareDatetime
    host: str = ""
    home: str = ""
    version: str = ""


class BackupState(Contract):
    """What a home knows of its backups: the last good one, the last that was restored for comparison, and trouble."""

    last: Backup | None = None
    size_bytes: int = 0
    unread: int = 0
    """Files of agents and services that changed or went while they were read."""
    verified: SnapshotId | None = None
    verified_at: AwareDatetime | None = None
    trouble: str | None = Field(default=None, max_length=2_000)
    trouble_at: AwareDatetime | None = None


class BackupOrder(Step):
    """Input of workflow `backup`. It has no fields yet: every start carries a payload, which is sealed."""


class BackupRequest(Step):
    """Order to make a backup. A repetition with the same `backup_id` finds the one that was made."""

    backup_id: Identifier


class BackupMade(Step):
    """The backup that was made, by its id in the repository. `unread` counts files that changed or went meanwhile.

    With `verify_due`, the last one that was restored and compared is so long ago that this one should be.
    """

    id: SnapshotId
    unread: int = Field(default=0, ge=0)
    verify_due: bool = False


class VerifyRequest(Step):
    """Order to restore the backup `id` into a scratch directory, and to compare it with what was there."""

    id: SnapshotId


class BackupVerified(Step):
    """What was found in the restored copy."""

    id: SnapshotId
    projects: int = Field(default=0, ge=0)
    rows: int = Field(default=0, ge=0)
    repositories: int = Field(default=0, ge=0)
    artifacts: int = Field(default=0, ge=0)


class BackupOutcome(Step):
    """What a run of workflow `backup` did; `verified` only when that was due."""

    made: BackupMade
    verified: BackupVerified | None = None
