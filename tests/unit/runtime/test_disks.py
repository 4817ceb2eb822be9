"""Disks: each once, by what is on it, and full before the databases stop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import disks
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings
from runtime.usage import usage


def facts(free_mb: int, total_mb: int, names: int = 1_000_000) -> os.statvfs_result:
    block = 1_000_000
    return os.statvfs_result((block, block, total_mb, free_mb, free_mb, 2_000_000, names, names, 0, 255))


@pytest.mark.parametrize(
    ("free_mb", "total_mb", "names", "state"),
    [
        (90_000, 100_000, 1_000_000, "ok"),
        (1_999, 100_000, 1_000_000, "low"),
        (299, 100_000, 1_000_000, "full"),
        (0, 100_000, 1_000_000, "full"),
        (90_000, 100_000, 12, "full"),
        (400, 500, 1_000_000, "ok"),
        (60, 500, 1_000_000, "low"),
        (20, 500, 1_000_000, "full"),
        (0, 0, 1_000_000, "full"),
    ],
)
def test_a_disk_is_full_without_room_for_bytes_or_for_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, total_mb: int, names: int, state: str
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: facts(free_mb, total_mb, names))
    found = disks.disks(Settings(home=tmp_path))
    assert {disk.state for disk in found} == {state}
    assert {(disk.free_mb, disk.total_mb) for disk in found} == {(free_mb, total_mb)}


def test_every_disk_is_there_once_and_says_what_it_holds(tmp_path: Path) -> None:
    """/dev/shm stands for the engine's disk, which nearly always is another one."""
    settings = Settings(home=tmp_path / "not" / "there" / "yet")
    RuntimeReport(work="containers", services="containers", reason="x", docker_root="/dev/shm").write(
        settings.runtime_report_file
    )
    found = {disk.name: disk for disk in disks.disks(settings)}
    assert len({disk.path.stat().st_dev for disk in found.values()}) == len(found)
    assert any("home" in name.split(", ") for name in found)
    if Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev:
        assert found["Docker"].path == Path("/dev/shm")


def test_an_engine_elsewhere_has_no_disk_here(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    RuntimeReport(work="containers", services="containers", reason="x", docker_root="/no/such/place").write(
        settings.runtime_report_file
    )
    assert not any("Docker" in disk.name for disk in disks.disks(settings))


def test_what_uses_a_home_is_listed_with_the_rule_by_which_it_goes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, keep_days=30, keep_releases=7)
    for place in ("services/blog/releases/r1/app", "services/blog/releases/r2", "runs/test-1", "artifacts/ab"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "services/blog/releases/r1/app/large").write_bytes(b"x" * 3_000_000)
    (tmp_path / "services/blog/releases/r2/link").symlink_to("/usr")
    (tmp_path / "artifacts/ab/abcd").write_bytes(b"x" * 2_000_000)
    found = {one.name: one for one in usage(settings)}
    assert set(found) == {"releases", "run records", "artifacts"}
    assert found["releases"].shown == "3 MB in 2"
    assert "newest 7" in found["releases"].rule
    assert "30 days" in found["run records"].rule
    assert found["artifacts"].shown == "2 MB in 1"
