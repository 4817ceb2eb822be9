"""Today's workflow code still issues the commands of every recorded history; a history that was bent is noticed."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from runtime import keyring
from runtime.keyring import KeyRing
from runtime.temporal.converter import build_data_converter, file_converter
from tests.replay.record_histories import GOLDEN, HISTORIES, file_of
from tests.support.stack import ROOT
from workers.replay import Verdict, each, load, replay

WANTED = [(workflow, name) for workflow, names in GOLDEN.items() for name in names]
KNOWN_BAD = sorted((HISTORIES / "known-bad").glob("*.json"))
FOREIGN = ("/work/", "/tmp/", "/home/", "@")


def shown(path: Path) -> str:
    return str(path.relative_to(HISTORIES).with_suffix(""))


def golden() -> list[Path]:
    return sorted(path for path in HISTORIES.rglob("*.json") if path not in KNOWN_BAD)


async def judged(*files: Path) -> list[Verdict]:
    return await replay(each([load(file) for file in files]))


@pytest.mark.parametrize(("workflow", "name"), WANTED, ids=lambda value: str(value))
def test_every_way_through_a_workflow_has_a_golden_history(workflow: str, name: str) -> None:
    assert file_of(workflow, name).exists(), f"record it: python -m tests.replay.record_histories ({workflow}/{name})"


@pytest.mark.parametrize("file", golden(), ids=shown)
async def test_the_installed_code_agrees_with_it(file: Path) -> None:
    (verdict,) = await judged(file)
    assert verdict.failure is None, (
        f"{verdict.failure}\nAn open run of an older build would stop here. Guard the change with workflow.patched and "
        "keep this file: golden histories are never edited (docs/testing.md)."
    )


@pytest.mark.parametrize("file", KNOWN_BAD, ids=shown)
async def test_a_history_that_the_code_does_not_agree_with_is_noticed(file: Path) -> None:
    (verdict,) = await judged(file)
    assert verdict.failure is not None
    assert "TMPRL1100" in verdict.failure, "the nondeterminism, and no other failure"


async def test_a_file_may_be_in_the_clear_where_a_platform_is_and_a_history_of_a_server_may_not(tmp_path: Path) -> None:
    keyring.create_if_absent(tmp_path / "keys.json")
    ring, file = KeyRing.load(tmp_path / "keys.json"), file_of("delivery", "happy")
    (of_file,) = await replay(each([load(file)]), file_converter(ring))
    assert of_file.failure is None
    (of_server,) = await replay(each([load(file)]), build_data_converter(ring))
    assert of_server.failure is not None


def test_there_is_a_known_bad_history() -> None:
    assert KNOWN_BAD


@pytest.mark.parametrize("file", golden(), ids=shown)
def test_it_is_small_and_shows_nothing_of_the_machine_that_recorded_it(file: Path) -> None:
    text = file.read_text()
    assert len(text) < 300_000
    assert "binary/encrypted" not in text
    assert "YmluYXJ5L2VuY3J5cHRlZA" not in text, "an encrypted payload"
    identities = {event.get("identity") for event in _attributes(text)} - {None}
    assert identities <= {"worker"}
    assert not [word for word in FOREIGN if word in text], "a path or a host of the machine"


def _attributes(text: str) -> list[dict[str, str]]:
    events = json.loads(text)["events"]
    return [value for event in events for value in event.values() if isinstance(value, dict)]


async def _command(*files: Path) -> tuple[int, str]:
    """`orchestrator replay FILE… --json`, in an empty home."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "replay", *map(str, files), "--json",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_the_command_replays_files_and_its_exit_code_tells() -> None:
    good = [file_of("delivery", "happy"), file_of("engineering", "repair")]
    code, out = await _command(*good)
    assert (code, [json.loads(line)["failure"] for line in out.splitlines()]) == (0, [None, None])
    code, out = await _command(good[0], KNOWN_BAD[0])
    assert code == 1
    assert "TMPRL1100" in out
