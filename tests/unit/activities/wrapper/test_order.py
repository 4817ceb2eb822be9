"""The wrapper waits for its order, takes what came with it, and leaves nothing of it behind."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import infra
from activities.adapters.agents.wrapper.beginning import order
from activities.adapters.agents.wrapper.beginning.order import VARIABLE, taken_order

_LAUNCHER = Path(infra.__file__).parent / "images" / "worker-run.sh"
_NUMBER = "0123456789ab"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / _NUMBER
    own.mkdir()
    monkeypatch.setenv(VARIABLE, str(own))
    return own


def test_without_a_place_to_look_the_turn_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert taken_order()


def test_it_waits_for_the_order_and_answers(place: Path) -> None:
    timer = threading.Timer(0.2, (place / "begin").touch)
    timer.start()
    began = time.monotonic()
    assert taken_order()
    assert time.monotonic() - began >= 0.15
    assert (place / "begun").exists()
    assert VARIABLE not in os.environ


def test_nobody_tells_it_and_it_gives_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_PATIENCE_S", 0.05)
    assert not taken_order()
    assert not (place / "begun").exists()


@pytest.mark.parametrize(
    "value", ["plain", "two words", "it's", 'a "b" $HOME `id` \\', "first\nsecond", "a=b", "export", ""]
)
def test_variables_come_as_they_were_sent(place: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ORDERED", "before")
    (place / "environment").write_text(f"export ORDERED={shlex.quote(value)}\nexport OTHER=1\n")
    monkeypatch.setenv("OTHER", "0")
    (place / "begin").touch()
    assert taken_order()
    assert (os.environ["ORDERED"], os.environ["OTHER"]) == (value, "1")


def test_variables_of_containers_that_were_never_told_go_too(place: Path) -> None:
    left = place.parent / "never-told" / "environment"
    left.parent.mkdir()
    left.touch()
    (place / "environment").touch()
    (place / "begin").touch()
    assert taken_order()
    assert not left.exists()
    assert not (place / "environment").exists()


def early(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "number").write_text(f"{_NUMBER}\n")
    return subprocess.run(
        ["sh", str(_LAUNCHER), "--early", "5", str(directory), *command],
        start_new_session=True, timeout=20, check=False, capture_output=True, text=True,
    )  # fmt: skip


def test_an_early_command_starts_untold_knows_where_to_look_and_its_end_is_written_down(tmp_path: Path) -> None:
    mine = tmp_path / ".run" / _NUMBER
    mine.mkdir(parents=True)
    done = early(tmp_path / ".run", "sh", "-c", 'echo "$ORCHESTRATOR_ORDER"; : >"$ORCHESTRATOR_ORDER/begun"; exit 3')
    assert (done.returncode, done.stdout.strip()) == (3, str(mine))
    assert (mine / "ended").read_text().split()[0] == "3"


def test_an_early_command_that_was_never_told_has_no_end_that_counts(tmp_path: Path) -> None:
    done = early(tmp_path / ".run", sys.executable, "-c", "raise SystemExit(75)")
    assert done.returncode == 75
    assert not (tmp_path / ".run" / _NUMBER / "ended").exists()
