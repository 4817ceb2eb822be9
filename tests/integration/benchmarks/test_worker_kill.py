"""The benchmark of killed Temporal workers sees that a successor hands the step back, and that a bare one does not."""

import pytest

from benchmarks.worker_kill import BENCHMARK


@pytest.mark.deep
@pytest.mark.timeout(400)
async def test_a_killed_worker_is_measured_beside_a_bare_one() -> None:
    findings = await BENCHMARK.measure(BENCHMARK.parser().parse_args(["--kills", "1", "--busy", "0"]))
    (table,) = findings.tables
    handed_back = table.columns.index("Handed back")
    assert [(row[0].split(",")[0], row[handed_back]) for row in table.rows] == [("ours", "1 of 1"), ("bare", "0 of 1")]
