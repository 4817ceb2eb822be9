"""Whether work can have users of its own: what really happens decides, not what is installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runtime import other_users
from runtime.runtime_report import RuntimeReport

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
SYSTEM_PYTHON = Path("/usr/bin/python3")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that others reach: pytest's own directories are private."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_root
def test_an_interpreter_in_a_private_home_is_named(tmp_path: Path) -> None:
    """`doctor` said "ok" because `useradd` was there, and everything ran as root."""
    private = tmp_path / "root"
    (private / "bin").mkdir(parents=True)
    private.chmod(0o700)
    shutil.copy(SYSTEM_PYTHON, private / "bin" / "python")
    found = other_users.obstacle([], private / "bin" / "python")
    assert found is not None
    assert "cannot reach" in found
    assert found.endswith("so work runs as root")


@needs_root
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 7", "exit code 7"),
        ("echo no such library >&2; exit 1", "no such library"),
    ],
)
def test_an_interpreter_that_is_reachable_and_does_not_run_is_found_out(
    open_directory: Path, script: str, told: str
) -> None:
    program = open_directory / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = other_users.obstacle([open_directory], program)
    assert found is not None
    assert told in found


@needs_root
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="needs a Python that everybody may run")
def test_a_python_of_the_system_runs_as_other_users(open_directory: Path) -> None:
    assert other_users.obstacle([open_directory], SYSTEM_PYTHON) is None
    open_directory.chmod(0o700)
    assert str(open_directory) in str(other_users.obstacle([open_directory], SYSTEM_PYTHON))


@needs_root
def test_a_busy_machine_is_no_reason_to_work_as_root(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_users, "_TRIAL_S", 0.5)
    program = open_directory / "slow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    assert other_users.obstacle([open_directory], program) is None


def test_without_root_all_work_shares_the_platforms_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "does not run as root" in str(other_users.obstacle([], Path(sys.executable)))


@pytest.mark.parametrize(
    ("work", "services", "told"),
    [
        ("processes", "processes", "agents, tests and services RUN AS ROOT: why"),
        ("processes", "containers", "agents and tests RUN AS ROOT: why"),
        ("containers", "processes", "services RUN AS ROOT: why"),
        ("containers", "containers", None),
    ],
)
def test_the_report_says_what_runs_as_root(work: str, services: str, told: str | None) -> None:
    report = RuntimeReport.model_validate({"work": work, "services": services, "reason": "x", "as_root": "why"})
    assert report.warning == told
    assert report.model_copy(update={"as_root": None}).warning is None
