"""The table "Where do I add …" is true: an agent and a forge that are added in just its places work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import OrchestratorError
from runtime.settings import Settings
from tests.integration.activities.forge.dummies import LINES, NEW
from workers.forges import build_forge

ROOT = Path(__file__).parents[4]
PACKAGES = ("contracts", "workflows", "activities", "runtime", "workers", "templates")
DELIVER = Path(__file__).with_name("deliver_with.py")

pytestmark = pytest.mark.timeout(180)


def table() -> dict[str, list[str]]:
    """What is added, and the files in which that is done."""
    section = (ROOT / "docs/architecture.md").read_text().split("## Where do I add …")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| a")]
    return {what: re.findall(r"`(\w+/[\w/]+\.py)`", where) for what, where in rows}


def places(what: str) -> set[str]:
    return {place.replace("NAME", "dummy") for place in table()[what]}


@pytest.mark.parametrize("what", ["an agent", "a forge", "a workflow", "a route", "a command"])
def test_each_thing_is_added_in_at_most_four_files_that_are_there(what: str) -> None:
    files = table()[what]
    assert 1 <= len(files) <= 4
    for file in files:
        known = re.split(r"NAME|NOUN", file)[0]
        assert (ROOT / known).exists(), file


@pytest.fixture
def copy_of_the_source(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "source"


def plant(source: Path, what: str) -> None:
    """Add the dummy in the places of the table, each of them and no other."""
    for place in places(what):
        file = source / place
        if place in NEW:
            assert not file.exists()
            file.write_text(NEW[place])
            continue
        text = file.read_text()
        for before, line in LINES[place].items():
            assert text.count(before) == 1, f"{place} has no single line {before!r} any more"
            text = text.replace(before, before + line)
        file.write_text(text)


def delivered(source: Path, home: Path, agent: str, forge: str) -> dict[str, Any]:
    """A scaffold, a turn, a push and a publication in the copy, with its agent and its forge."""
    environment = {**os.environ, "PYTHONPATH": str(source), "ORCHESTRATOR_HOME": str(home), "ORCHESTRATOR_FORGE": forge}
    # A dummy is no script of ours, so it needs containers, or this.
    environment["ORCHESTRATOR_TRUST_PROCESSES"] = "true"
    done = subprocess.run(
        [sys.executable, "-P", str(DELIVER), agent],
        cwd=source, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_an_agent_that_is_added_there_takes_a_turn(copy_of_the_source: Path, tmp_path: Path) -> None:
    plant(copy_of_the_source, "an agent")
    seen = delivered(copy_of_the_source, tmp_path / "home", "dummy", "local")
    assert (seen["status"], seen["summary"], seen["said"]) == ("done", "the dummy was here", ["dummy: at work"])
    assert (seen["published"], seen["files"]) == ("published", ["dummy.txt"])
    assert (seen["main"], seen["tested"], seen["released"]) == (seen["commit"], True, True)


def test_a_forge_that_is_added_there_takes_a_project_from_scaffold_to_main(
    copy_of_the_source: Path, tmp_path: Path
) -> None:
    for what in ("an agent", "a forge"):
        plant(copy_of_the_source, what)
    home = tmp_path / "home"
    seen = delivered(copy_of_the_source, home, "dummy", "dummy")
    assert (seen["status"], seen["published"]) == ("done", "published"), seen["said"]
    assert (seen["main"], seen["tested"], seen["released"]) == (seen["commit"], True, True)
    assert seen["commit"] != seen["scaffold"]
    assert not (home / "forge").exists(), "nothing went to the local forge by a path"


def test_a_forge_that_is_nowhere_added_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match=r"ORCHESTRATOR_FORGE.*local"):
        build_forge(Settings(home=tmp_path, forge="nowhere"))
