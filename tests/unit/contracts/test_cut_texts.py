"""Texts that are too long are cut between lines: half a line says something that nobody has said."""

import subprocess
from pathlib import Path

import pytest

from contracts.errors import bounded, end_of, with_ending

LINES = "\n".join(f"line {number} of a long log" for number in range(1_000))


@pytest.mark.parametrize("limit", [60, 61, 200, 1_500])
def test_the_end_of_a_log_begins_with_a_whole_line(limit: int) -> None:
    found = end_of(LINES, limit)
    assert len(found) <= limit
    assert LINES.endswith(f"\n{found}")
    assert len(end_of(LINES, limit)) > limit - 30, "no more is left out than the line that was cut"


@pytest.mark.parametrize("text", ["", "short", "two\nlines"])
def test_what_fits_is_left_alone(text: str) -> None:
    assert (end_of(text, 10), bounded(text, 10)) == (text, text)


def test_of_a_line_that_is_too_long_the_end_is_shown_with_a_mark() -> None:
    assert end_of("first\n" + "x" * 500, 100) == "…" + "x" * 99
    # Only little would be left of it otherwise.
    assert end_of("a\n" + "x" * 500 + "\nlast", 100) == "…" + "x" * 94 + "\nlast"


@pytest.mark.parametrize("limit", [200, 201, 3_000])
def test_the_middle_is_cut_out_between_lines(limit: int) -> None:
    found = bounded(LINES, limit)
    head, _, tail = found.partition("\n[… cut …]\n")
    assert len(found) <= limit
    assert LINES.startswith(f"{head}\n")
    assert LINES.endswith(f"\n{tail}")
    assert len(bounded("x" * 5_000, limit)) <= limit


def test_a_sentence_behind_a_log_stands_on_a_line_of_its_own() -> None:
    assert with_ending("It did not answer.", "the previous release is still running") == (
        "It did not answer; the previous release is still running."
    )
    assert with_ending("It ended.\nThe end of its log:\nValueError: x = 1.", "nothing was online before") == (
        "It ended.\nThe end of its log:\nValueError: x = 1.\n\nNothing was online before."
    )
    assert with_ending("It ended.", "") == "It ended."


def test_no_other_place_cuts_the_end_off_a_text_by_its_characters() -> None:
    """`said[-500:]` begins in the middle of a line; `end_of` does not."""
    root = Path(__file__).parents[3]
    folders = ["activities", "api", "bot", "cli", "runtime", "workers", "workflows"]
    command = ["grep", "-rnE", r"\[-(_?[A-Z_]*TAIL|[0-9_]{3,}):\]", "--include=*.py", *folders]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line for line in found if not line.startswith(ALLOWED) and not line.endswith(RAW)] == []


RAW = "[-RAW_TAIL:]"  # is redacted and cut again
ALLOWED = (
    "activities/adapters/verification/report.py",  # searches the end and shows nothing of it
    "activities/adapters/containers/engine.py",  # for the operator's details
    "api/tasks/projections.py",  # a key
)
