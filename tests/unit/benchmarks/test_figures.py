"""What benchmarks compute and write."""

import argparse
import json
import sys
from pathlib import Path

import pytest
import structlog

from benchmarks.measuring import Machine, Ratio, Spread
from benchmarks.reporting import Benchmark, Findings, Table, main, markdown, with_section

PAGE = "# Figures\n\n<!-- benchmark a -->\nold\n<!-- end a -->\n\nkept\n\n<!-- benchmark b -->\n<!-- end b -->\n"


def machine(busy_pct: float) -> Machine:
    return Machine(2, "a processor", 24.0, "6.1", "3.11", {"temporalio": "1"}, busy_pct)


def test_a_ratio_is_the_median_of_ratios_and_not_of_sums() -> None:
    ratio = Ratio.of([(1.0, 1.0), (2.0, 1.0), (300.0, 100.0)])
    assert (ratio.pairs, ratio.median) == (3, 2.0)
    assert ratio.low <= ratio.p25 <= ratio.median <= ratio.p75 <= ratio.high


def test_the_interval_of_a_ratio_is_the_same_for_the_same_pairs_and_grows_with_noise() -> None:
    calm = [(1.0 + number / 1000, 1.0) for number in range(30)]
    wild = [(1.0 + number, 1.0) for number in range(30)]
    assert Ratio.of(wild) == Ratio.of(wild)
    widths = [one.high - one.low for one in (Ratio.of(calm), Ratio.of(wild))]
    assert widths[0] < widths[1]


def test_the_spread_of_one_value_is_that_value() -> None:
    spread = Spread.of([7.0])
    assert {spread.p25, spread.p50, spread.p75, spread.p95, spread.largest} == {7.0}


def test_the_spread_names_quartiles_and_the_tail() -> None:
    spread = Spread.of([float(number) for number in range(101)])
    assert (spread.p25, spread.p50, spread.p75, spread.p95, spread.largest) == (25, 50, 75, 95, 100)


def test_a_busy_machine_is_said_on_the_page() -> None:
    findings = Findings([Table(["What", "p50"], [["flow", "1 ms"]])], {})
    assert machine(20).warning is None
    assert "busy for 21 %" in str(machine(21).warning)
    assert "busy for 90 %" in markdown(machine(90), findings)
    assert "| flow | 1 ms |" in markdown(machine(0), findings)


def test_only_the_section_of_the_benchmark_is_renewed() -> None:
    page = with_section(PAGE, "a", r"new \1")
    assert r"new \1" in page
    assert "old" not in page
    assert page.partition("<!-- end a -->")[2] == PAGE.partition("<!-- end a -->")[2]
    assert with_section(page, "a", r"new \1") == page


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(SystemExit, match="no section"):
        with_section(PAGE, "c", "new")


def test_a_benchmark_ends_normally_and_leaves_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it started ends with it: a process that is cut short at its end leaves its PostgreSQL behind."""

    async def measure(options: argparse.Namespace) -> Findings:
        return Findings([Table(["What", "p50"], [["flow", f"{options.pairs} ms"]])], {"pairs": options.pairs})

    (tmp_path / "page.md").write_text(PAGE)
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "page.md")]
    monkeypatch.setattr(structlog, "configure", lambda **_: None)  # that of the other tests stays
    monkeypatch.setattr(sys, "argv", ["a", "--pairs", "3", *files])
    main(Benchmark("a", "A benchmark", {"pairs": 30}, measure))
    assert json.loads((tmp_path / "a.json").read_text())["figures"] == {"pairs": 3}
    assert "| flow | 3 ms |" in (tmp_path / "page.md").read_text()
    assert "3 ms" in capsys.readouterr().out
