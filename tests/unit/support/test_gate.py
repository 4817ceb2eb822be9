"""The gate itself: its table, what it says at the end, which parts of the deep tests are recorded for which files."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gate.__main__ import deep, main, run, status
from tests.gate.records import Records, tree
from tests.gate.report import Outcome, report
from tests.gate.suites import ROOT, Suite, Table, chosen

LIMIT_S, FIRST_LIMIT_S, PART_LIMIT_S = 1800, 1200, 2400
"""What all of `make test` may take, what version 0.1 may, and one part of `make test-deep`."""
AGENTS_S = 150
"""The share of real agents, on top of version 0.1; what else is added has a share of its own."""


def test_the_budgets_together_are_what_is_allowed() -> None:
    table = Table.read()
    assert sum(suite.budget_s for suite in table.gate) <= FIRST_LIMIT_S + AGENTS_S
    assert all(part.budget_s <= PART_LIMIT_S for part in table.deep)


def test_every_test_belongs_to_a_suite_of_the_gate_and_every_deep_one_to_a_part() -> None:
    table = Table.read()
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__)]
    marked = {file for file in files if "mark.deep" in file.read_text()}
    for file in files:
        assert [suite for suite in table.gate if _holds(suite, file)], f"no suite of the gate runs {file}"
        if file in marked:
            assert [part for part in table.deep if _holds(part, file) and _selects(part)], f"no part runs {file}"


def _selects(part: Suite) -> bool:
    """A part that selects nothing runs all tests of its folders."""
    return not part.select or "deep" in part.select


def _holds(suite: Suite, file: Path) -> bool:
    return any(file.is_relative_to(ROOT / path) for path in suite.paths)


def test_a_row_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "budget.toml").write_text("[gate.both]\nbudget_s = 1\npaths = ['a']\ncommand = 'b'\n[deep]\n")
    with pytest.raises(ValueError, match="both needs either"):
        Table.read(tmp_path / "budget.toml")


def test_an_unknown_suite_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="there is no e2f; there are "):
        chosen(Table.read().gate, ["e2f"])
    with pytest.raises(SystemExit):
        main(["test", "e2f"])
    assert "there is no e2f" in capsys.readouterr().err


def test_the_end_shows_seconds_budgets_the_slowest_tests_and_what_is_red_or_late() -> None:
    tests = {f"t{number}": float(number) for number in range(12)}
    said = report([Outcome("unit", 40, 45, 0, tests), Outcome("e2e", 300, 200, 1, {"slow": 250.0})])
    assert "unit               12       40      45" in said
    assert "all                13      340     245  RED" in said
    assert said.count(" s  ") == 10
    assert said.index("250.0 s  slow") < said.index("11.0 s  t11")
    assert "WARNING: e2e took 300 s of 200 s." in said
    assert "RED: e2e (exit code 1)." in said


def test_a_suite_that_is_late_is_not_red() -> None:
    assert Outcome("unit", 50, 45, 0).is_green
    assert "RED" not in report([Outcome("unit", 50, 45, 0)])


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one suite, in the place of ours."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("build/\n__pycache__/\n")
    (tmp_path / "test_one.py").write_text("def test_one(): ...\ndef test_two(): ...\n")
    monkeypatch.setattr("tests.gate.__main__.TIMES", tmp_path / "build" / "gate")
    monkeypatch.setattr("tests.gate.__main__.tree", lambda: tree(tmp_path))
    monkeypatch.setattr("tests.gate.__main__.Records", lambda: Records(tmp_path / "build" / "test-deep"))
    return tmp_path


def test_a_run_counts_the_tests_and_their_seconds(planted: Path) -> None:
    outcome = run(Suite("one", 5, (str(planted / "test_one.py"),)))
    assert outcome.is_green
    assert [test.rpartition("::")[2] for test in outcome.tests] == ["test_one", "test_two"]
    assert outcome.seconds >= sum(outcome.tests.values())


@pytest.mark.usefixtures("planted")
def test_a_run_shares_no_folder_of_its_tests_with_other_runs_and_leaves_none(planted: Path) -> None:
    """pytest closes the folder of all of a user's runs to others, under the eyes of those that are running."""
    place = planted / "place.txt"
    (planted / "test_one.py").write_text(
        f"def test_one(tmp_path): open({str(place)!r}, 'a').write(f'{{tmp_path}}\\n')\n"
    )
    assert all(run(Suite("one", 5, (str(planted / "test_one.py"),))).is_green for _ in range(2))
    first, second = (Path(line) for line in place.read_text().splitlines())
    assert first.parent != second.parent
    assert not any(part.startswith("pytest-of-") for part in first.parts)
    assert not first.parent.exists()
    assert not first.parent.parent.exists()


def test_a_suite_without_any_test_is_red() -> None:
    assert not run(Suite("none", 5, ("tests/unit/support/test_gate.py",), select="no_such_marker")).is_green


def test_a_green_part_is_recorded_for_the_files_that_it_ran_on(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    green = Suite("green", 5, command=(sys.executable, "-c", "pass"))
    red = Suite("red", 5, command=(sys.executable, "-c", "raise SystemExit(3)"))
    assert deep([red]) == 1
    assert status([red]) == 1
    assert deep([green]) == 0
    assert status([green]) == 0
    assert status([green, red]) == 1
    (planted / "test_one.py").write_text("def test_one(): ...\n")
    capsys.readouterr()
    assert status([green]) == 1
    assert "green            open" in capsys.readouterr().out


def test_a_part_during_which_a_file_was_changed_is_not_recorded(planted: Path) -> None:
    editing = Suite("editing", 5, command=("touch", str(planted / "new.py")))
    assert deep([editing]) == 0
    assert status([editing]) == 1
