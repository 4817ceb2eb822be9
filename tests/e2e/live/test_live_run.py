"""What `make test-live` runs, with a scripted model in the vendor's place: everything else of it is as it would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulators.model.model import Model
from emulators.model.scenarios import load
from emulators.model.server import serving
from tests.live.report import report
from tests.live.run import run
from tests.live.selection import chosen

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1800)]
KEY = "sk-ant-made-up-key-of-nobody"
PROMPT = "Read TASK.md and AGENTS.md"


async def test_a_live_run_builds_the_wish_visits_it_and_says_what_it_cost(tmp_path: Path) -> None:
    model = Model(keys={KEY}, named=load())
    model.scenarios.append(load()["notes"].model_copy(update={"match": PROMPT}))
    async with serving(model) as url:
        live = chosen(
            {
                "ANTHROPIC_API_KEY": KEY,
                "ORCHESTRATOR_ANTHROPIC_BASE_URL": url,
                "LIVE_AGENTS": "claude-code",
                "LIVE_WISH": "Notes with title:str and text:str",
            }
        )
        tried, upstreams = await run(live, tmp_path / "home", print)
    text = report(live, tried, upstreams)
    [one] = tried
    assert one.good, text
    assert "GET /notes 200" in one.answers, text
    assert upstreams == [url]
    billed = model.records.billed()["total"]
    assert one.cost is not None
    assert one.cost["requests"] == billed["requests"], "each request is counted, those of planner and checks too"
    assert KEY not in text


async def test_a_wish_that_is_not_built_within_its_budget_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    model = Model(keys={KEY}, named=load())
    async with serving(model) as url:
        live = chosen(
            {
                "ANTHROPIC_API_KEY": KEY,
                "ORCHESTRATOR_ANTHROPIC_BASE_URL": url,
                "LIVE_AGENTS": "claude-code",
                "LIVE_WISH": "[model:loop ls]",
                "LIVE_BUDGET_USD": "0.05",
            }
        )
        [one], _ = await run(live, tmp_path / "home", print)
    assert (one.good, one.state) == (False, "cancelled")
    assert "nobody was there to answer" in one.why
    assert one.cost is not None
    assert one.cost["cost_usd"] < 0.2
