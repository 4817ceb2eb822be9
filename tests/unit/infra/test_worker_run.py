"""The launcher of a container: an agent can write where it reads its number, and leads it nowhere with that."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import infra
from activities.adapters.containers.runs import archive_of

SCRIPT = Path(infra.__file__).parent / "images" / "worker-run.sh"


def launched(directory: Path, number: str) -> int:
    directory.mkdir(exist_ok=True)
    (directory / "number").write_text(number)
    done = subprocess.run(
        ["sh", str(SCRIPT), "5", str(directory), "true"], start_new_session=True, timeout=20, check=False
    )
    return done.returncode


def told(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "begin").touch()
    return place


def test_a_container_that_is_told_its_number_writes_its_end_down_there(tmp_path: Path) -> None:
    mine = told(tmp_path / "launchers" / "0123456789ab")
    assert launched(tmp_path / "launchers", "0123456789ab\n") == 0
    assert (mine / "ended").read_text().split()[0] == "0"


@pytest.mark.parametrize("number", ["../elsewhere\n", "\n", "./../elsewhere\n", "0123 /x\n", "$(id)\n"])
def test_what_is_no_number_begins_nothing(tmp_path: Path, number: str) -> None:
    elsewhere = told(tmp_path / "elsewhere")
    told(tmp_path / "launchers")
    assert launched(tmp_path / "launchers", number) == 75
    assert sorted(path.name for path in elsewhere.iterdir()) == ["begin"]


def test_the_order_comes_on_standard_input_and_the_command_has_none(tmp_path: Path) -> None:
    launchers = tmp_path / ".run"
    launchers.mkdir()
    (launchers / "number").write_text("0123456789ab\n")
    order = archive_of(
        {".run/0123456789ab/environment": b"export TOLD='a b'\n", ".run/0123456789ab/begin": b""}, folders=True
    )
    done = subprocess.run(
        ["sh", str(SCRIPT), "5", str(launchers), "sh", "-c", 'echo "$TOLD"; cat'],
        input=order, capture_output=True, start_new_session=True, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"a b\n")
    assert sorted(path.name for path in (launchers / "0123456789ab").iterdir()) == ["begin", "begun", "ended"]
