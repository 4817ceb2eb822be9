"""The script deploys what the platform deploys, and the benchmark says what both took."""

import os

import pytest

from benchmarks.main_job_by_hand import BENCHMARK
from tests.support.services.container_service import no_engine

IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}


@pytest.mark.deep
@pytest.mark.timeout(900)
async def test_both_sides_reach_a_url_on_a_known_and_on_a_new_server() -> None:
    problem = no_engine()
    if problem is not None:
        assert not IN_CI, f"CI needs Docker, but {problem}"
        pytest.skip(f"NOT MEASURED: {problem}")
    findings = await BENCHMARK.measure(BENCHMARK.parser().parse_args(["--pairs", "1", "--new-servers", "1"]))
    ratios, *steps = findings.tables
    assert [(row[0], row[1]) for row in ratios.rows] == [("with cached packages", "1"), ("new", "1")]
    assert all(len(row) == len(table.columns) for table in findings.tables for row in table.rows)
    assert len(steps) == len(ratios.rows)
    for server in findings.figures.values():
        [(platform, by_hand)] = server["pairs"]
        assert server["ratio"]["median"] == platform["seconds"] / by_hand["seconds"]
        assert 0 < sum(by_hand["steps"].values()) <= by_hand["seconds"]
