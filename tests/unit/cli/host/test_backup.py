"""What `doctor` and `status` say of backups, and that `backup` says what it cannot do here."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cli.host.backup import list_backups
from cli.host.backup_facts import backup_facts, backup_finding
from cli.terminal.exits import ExitCode, exit_code_for
from contracts.backups import Backup, BackupState
from contracts.base import utc_now
from contracts.errors import ErrorCode, OrchestratorError
from runtime.backups import states
from runtime.backups.restic import _ssh_command
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return Settings(home=tmp_path, backup_repository="/backups", backup_every_h=24)


def made(hours_ago: float) -> Backup:
    return Backup(id="0123abcd", backup_id="one", made_at=utc_now() - timedelta(hours=hours_ago))


def test_without_a_repository_nothing_is_wrong_and_status_is_silent(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert backup_finding(settings).verdict == "optional"
    assert "ORCHESTRATOR_BACKUP_REPOSITORY" in backup_finding(settings).advice
    assert backup_facts(settings) == []


def test_without_restic_its_package_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert backup_finding(settings).verdict == "missing"
    assert "apt-get install restic" in backup_finding(settings).advice


def test_one_that_is_due_soon_is_no_fault_and_one_that_was_missed_is(settings: Settings) -> None:
    assert backup_finding(settings).verdict == "optional", "the Schedule makes the first"
    states.keep(settings, BackupState(last=made(25)))
    assert backup_finding(settings).verdict == "ok"
    assert "none has been restored for comparison yet" in str(backup_facts(settings))
    states.keep(settings, BackupState(last=made(49)))
    assert backup_finding(settings).verdict == "problem"


def test_trouble_is_told_beside_the_last_good_one(settings: Settings) -> None:
    states.keep(settings, BackupState(last=made(1)))
    states.keep_trouble(settings, OrchestratorError(ErrorCode.BACKUP_UNREACHABLE, "It does not answer."))
    found = backup_finding(settings)
    assert found.verdict == "problem"
    assert "the last was made" in found.found
    assert "BACKUP_UNREACHABLE: It does not answer." in found.found
    states.keep_verified(settings, made(1))
    assert backup_finding(settings).verdict == "ok", "what was restored shows that all is well again"


def test_of_an_error_that_is_not_ours_only_the_kind_is_remembered(settings: Settings) -> None:
    states.keep_trouble(settings, ValueError("password=hunter22"))
    assert states.state_of(settings).trouble == "INTERNAL: ValueError"


def test_with_compose_the_command_says_where_its_backups_are_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("ORCHESTRATOR_STACK", "compose")
    with pytest.raises(OrchestratorError, match=r"docs/operations\.md") as failure:
        list_backups()
    assert failure.value.code is ErrorCode.INVALID_INPUT


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (ErrorCode.BACKUP_NOT_SET_UP, ExitCode.USAGE),
        (ErrorCode.BACKUP_RUNNING, ExitCode.CONFLICT),
        (ErrorCode.BACKUP_UNREACHABLE, ExitCode.UNREACHABLE),
        (ErrorCode.BACKUP_REFUSED, ExitCode.FAILED),
        (ErrorCode.BACKUP_DAMAGED, ExitCode.FAILED),
        (ErrorCode.BACKUP_FAILED, ExitCode.FAILED),
    ],
)
def test_exit_codes_are_the_documented_ones(code: ErrorCode, exit_code: ExitCode) -> None:
    assert exit_code_for(code) is exit_code


@pytest.mark.parametrize(
    ("location", "end"),
    [
        ("sftp:keeper@host:/path", "-l keeper -s -- host sftp"),
        ("sftp:host:path", "-s -- host sftp"),
        ("sftp://keeper@host:2222//path", "-p 2222 -l keeper -s -- host sftp"),
        ("sftp://host//path", "-s -- host sftp"),
    ],
)
def test_ssh_is_told_where_to_go_and_asks_nobody(location: str, end: str) -> None:
    command = _ssh_command(location, ["-i", "/a key"])
    assert command.startswith("ssh -oBatchMode=yes -oStrictHostKeyChecking=yes ")
    assert command.endswith(f" -i '/a key' {end}")
