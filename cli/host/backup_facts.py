"""How backups of this platform are, from what its home remembers: a repository far away is not asked."""

from __future__ import annotations

import shutil
from datetime import timedelta

from cli.host.finding import Finding
from cli.terminal.tables import moment
from contracts.backups import BackupState
from contracts.base import utc_now
from runtime.backups import states
from runtime.backups.restic import HOW_TO_GET
from runtime.settings import Settings

_PART = "backups"


def backup_finding(settings: Settings) -> Finding:
    """For `doctor`. No backups are no fault, as long as nobody has set them up."""
    if settings.backup_repository is None:
        advice = "set ORCHESTRATOR_BACKUP_REPOSITORY and ORCHESTRATOR_BACKUP_PASSWORD_FILE: docs/operations.md, Backup"
        return Finding(_PART, "optional", "none are made: there is no repository for them", advice)
    if shutil.which("restic") is None:
        return Finding(_PART, "missing", "the program restic is not installed", HOW_TO_GET)
    state = states.state_of(settings)
    if state.trouble is not None:
        return Finding(_PART, "problem", f"{_last(state)}; then {state.trouble}", "orchestrator backup now")
    if state.last is None:
        return Finding(_PART, "optional", _last(state), "orchestrator backup now, or wait for the Schedule")
    if utc_now() - state.last.made_at > _latest(settings):
        return Finding(_PART, "problem", _last(state), f"orchestrator backup now; {settings.start_command}")
    return Finding(_PART, "ok", f"{_last(state)}, {_verified(state)}")


def backup_facts(settings: Settings) -> list[tuple[str, object]]:
    """Labelled sentences for `status`; none where backups are not set up."""
    if settings.backup_repository is None:
        return []
    found = backup_finding(settings)
    return [("Backups", found.found)]


def _latest(settings: Settings) -> timedelta:
    """A backup that is older has missed its successor."""
    return timedelta(hours=2 * settings.backup_every_h)


def _last(state: BackupState) -> str:
    return f"the last was made {moment(state.last.made_at)}" if state.last is not None else "none has been made yet"


def _verified(state: BackupState) -> str:
    if state.verified_at is None:
        return "none has been restored for comparison yet"
    return f"restored for comparison {moment(state.verified_at)}"
