"""Every benchmark still runs: with the smallest sizes, and without a word about the figures."""

import importlib
import json
import math
import os
from collections.abc import Iterator

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.measuring import this_machine
from benchmarks.reporting import Benchmark, Findings, document, markdown
from tests.support.services.container_service import no_engine

pytestmark = pytest.mark.deep
IN_CI = os.environ.get("CI", "").lower() in {"true", "1"}

SMALLEST = {
    "history_size": [],
    "replay_speed": ["--rounds", "1"],
    "projection_cost": ["--writes", "2", "--rounds", "1"],
    "flow_overhead": ["--pairs", "1", "--warm-up", "0", "--tuned-bare", "1"],
    "flow_rate": ["--flows", "2", "--at-once", "2"],
    "sleeping_runs": ["--runs", "2", "--steps", "1"],
    "turn_start": ["--pairs", "1", "--agent-pairs", "1"],
}
ELSEWHERE = {"main_jobs", "main_job_by_hand", "worker_kill", "chat_acknowledgement"}
"""They need a whole platform: tests/e2e/test_benchmark_of_main_jobs.py, test_main_job_by_hand.py and
test_worker_kill.py beside this file, tests/chat/test_main_job.py."""


def numbers(node: object) -> Iterator[float]:
    """Every number in a document."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from numbers(value)
    elif isinstance(node, (int, float)):
        yield float(node)


def test_each_benchmark_has_a_test() -> None:
    assert set(BENCHMARKS) == set(SMALLEST) | ELSEWHERE


@pytest.mark.parametrize("name", SMALLEST)
async def test_it_measures_and_reports(name: str) -> None:
    problem = no_engine() if name == "turn_start" else None
    if problem is not None:
        assert not IN_CI, f"CI needs Docker, but {problem}"
        pytest.skip(f"NOT MEASURED: {problem}")
    benchmark: Benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    options = benchmark.parser().parse_args(SMALLEST[name])
    machine, findings = this_machine(), await benchmark.measure(options)
    assert isinstance(findings, Findings)
    assert all(len(row) == len(table.columns) for table in findings.tables for row in table.rows)
    assert all(table.rows for table in findings.tables)
    found = list(numbers(json.loads(json.dumps(document(benchmark, machine, options, findings)))["figures"]))
    assert found
    assert all(math.isfinite(number) for number in found)
    assert machine.kernel in markdown(machine, findings)
