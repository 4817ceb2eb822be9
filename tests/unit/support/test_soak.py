"""What a soak run plans, counts and writes down."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from tests.soak.plan import Account, Plan, Recovery, Result
from tests.soak.report import BEGIN, END, percentile, report_of, write_report
from tests.soak.run import conclude
from tests.support.kills.judging import Delivery, Finding
from tests.support.kills.killing import PARTS, spared_engine

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def result_of(*accounts: Account, kills: int = 2, strays: tuple[str, ...] = ()) -> Result:
    recoveries = [Recovery("workers", 4.0), Recovery("docker", 2.0)][:kills]
    return Result(Plan(1, PARTS, kills=2), recoveries, list(accounts), strays, 0.5)


def account(state: str = "completed", *findings: Finding) -> Account:
    return Account("A library", Delivery("0c9a", "shop", "dlv-1"), 12.0, state, list(findings))


def test_a_seed_always_plans_the_same_and_hits_every_part() -> None:
    strikes = list(islice(Plan(7, PARTS).strikes(), 100))
    assert strikes == list(islice(Plan(7, PARTS).strikes(), 100))
    assert strikes != list(islice(Plan(8, PARTS).strikes(), 100))
    victims = [victim for strike in strikes for victim in strike.victims]
    assert all(victims.count(part) >= 10 for part in PARTS)
    assert {len(strike.victims) for strike in strikes} == {1, 2}
    assert len({tuple(islice(lane, 9)) for lane in Plan(7, PARTS).sentences()}) == 3


def test_a_run_without_findings_is_green() -> None:
    assert result_of(account()).is_green


@pytest.mark.parametrize(
    ("result", "counted"),
    [
        (result_of(account("completed", Finding("lost", "a commit"))), (1, 0, 0, 0, 0)),
        (result_of(account("completed", Finding("doubled", "a turn"))), (0, 1, 0, 0, 0)),
        (result_of(account("stuck", Finding("lost", "stuck"))), (0, 0, 1, 0, 0)),
        (result_of(account("completed", Finding("orphan", "a container"))), (0, 0, 0, 1, 0)),
        (result_of(account("completed", Finding("differs", "tasks"))), (0, 0, 0, 0, 1)),
        (result_of(account(), strays=("a draft",)), (0, 0, 0, 1, 0)),
        (result_of(account(), kills=1), (0, 0, 0, 0, 0)),
    ],
    ids=["lost", "doubled", "stuck", "orphan", "differs", "stray", "too few kills"],
)
def test_whatever_is_found_makes_the_run_red_and_is_counted_once(
    result: Result, counted: tuple[int, int, int, int, int]
) -> None:
    assert not result.is_green
    found = (result.lost, result.found("doubled"), result.stuck, result.orphans, result.found("differs"))
    assert found == counted


def test_a_red_run_ends_with_what_is_wrong_and_what_the_logs_say_of_it(tmp_path: Path) -> None:
    (tmp_path / "workers.log").write_text(
        "1 [info     ] activity done attempt=1 task_id=eng-1\n"
        "2 [info     ] activity done attempt=2 task_id=eng-1\n"
        "3 [warning  ] activity failed attempt=1 code=TESTER_LOST task_id=eng-1\n"
        "4 [warning  ] activity failed attempt=1 task_id=eng-2\n"
    )
    said: list[str] = []
    bad = account("completed", Finding("doubled", "begun more than once: test-eng-1-ab"))
    conclude(result_of(account(), bad, strays=("a draft",)), tmp_path, said.append)
    assert len(said) == 3
    assert "begun more than once: test-eng-1-ab" in said[0]
    assert [line.split()[0] for line in said[0].splitlines()[1:]] == ["2", "3"]
    assert said[1:] == ["orphan: a draft", "red; repeat it with: make soak CHAOS_SEED=1. Logs: build/soak"]
    conclude(result_of(account()), tmp_path, said.append)
    assert said[3:] == ["green"]


def test_the_report_has_the_seed_the_recoveries_and_the_verdict() -> None:
    text = report_of(result_of(account(), account("stuck", Finding("lost", "stuck"))), DAY)
    assert "seed 1: 2 kills in 0.5 minutes" in text
    assert "| Temporal worker | 1 | 4.0 s | 4.0 s | 4.0 s |" in text
    assert "| All | 2 | 3.0 s | 4.0 s | 4.0 s |" in text
    assert "| 2 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "Not in this run" not in text


def test_the_report_says_which_part_was_spared() -> None:
    text = report_of(Result(Plan(1, ("workers",))), DAY)
    assert "Not in this run: API; Temporal server; PostgreSQL; Docker daemon." in text


def test_a_marked_document_keeps_what_is_around_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "reliability.md"
    write_report("old\n", file)
    assert file.read_text() == "old\n"
    file.write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n")
    write_report("new\n", file)
    assert file.read_text() == f"# Before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([1.0], 95) == 1.0
    assert percentile([float(number) for number in range(1, 101)], 95) == 95.0


def test_the_engine_of_a_person_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("CHAOS_DOCKERD", raising=False)
    assert "CHAOS_DOCKERD=1 allows it" in str(spared_engine())
