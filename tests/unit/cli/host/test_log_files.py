"""Logs of parts that run for months stay bounded, whoever holds them open."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from cli.host import log_files
from cli.host.log_files import put_aside, rotate, rotate_all


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "FULL_BYTES", 100)


def test_a_part_that_writes_for_ever_keeps_its_newest_lines(tmp_path: Path) -> None:
    """It appends through its own descriptor, as a part does that `up` has started."""
    log = tmp_path / "api.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for number in range(200):
            os.write(descriptor, f"line {number:03}\n".encode())
            rotate_all(tmp_path)
    finally:
        os.close(descriptor)
    kept = sorted(tmp_path.iterdir())
    assert [path.name for path in kept] == ["api.log", "api.log.1", "api.log.2", "api.log.3"]
    assert sum(path.stat().st_size for path in kept) < 4 * 110
    newest = "".join(path.read_text() for path in [*reversed(kept[1:]), kept[0]])
    assert newest.splitlines()[-1] == "line 199"
    assert newest.splitlines() == [f"line {number:03}" for number in range(200 - len(newest.splitlines()), 200)]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_a_full_log_is_put_aside_whole_before_a_part_starts(tmp_path: Path) -> None:
    log = tmp_path / "workers.log"
    put_aside(log)
    log.write_bytes(b"x" * 99)
    put_aside(log)
    assert log.exists()
    log.write_bytes(b"y" * 100)
    put_aside(log)
    assert not log.exists()
    assert log.with_name("workers.log.1").read_bytes() == b"y" * 100


def test_a_log_that_fills_the_disk_is_emptied_although_it_cannot_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", no_room)
    log = tmp_path / "postgres.log"
    log.write_bytes(b"x" * 1000)
    assert rotate(log)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"postgres.log": 0}
