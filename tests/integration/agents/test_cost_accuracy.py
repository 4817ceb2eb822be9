"""The bill: what the proxy counts for a turn is what the model bills, to the token, whatever the agent admits.

The agents, their containers, the proxy with its database and the way between them are real; the model is scripted.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.agents.agents import WAYS, Agent, way_id
from tests.integration.agents.metering import KEYS

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]

TOKENS = ("requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@pytest.mark.parametrize("agent", [way for way in WAYS if way_id(way) != "scripted-acp"], indirect=True, ids=way_id)
async def test_the_proxy_counts_what_the_model_bills(agent: Agent, record_property: Callable[..., None]) -> None:
    seen = await agent.turn("[model:write hello.txt Hello][model:run ls]")
    assert seen.ended == "completed", seen.last
    spent, billed = seen.spending.model_dump(mode="json"), agent.model.records.billed()["total"]
    found = {"agent": agent.name, "billed": billed, "spent": spent, "claims": seen.usage}
    record_property("cost", json.dumps(found))
    assert {name: spent[name] for name in TOKENS} == {name: billed[name] for name in TOKENS}
    assert spent["cost_usd"] > 0
    # What a row chooses by itself has a price: a budget of somebody holds to the cent.
    assert spent["unknown_requests"] == 0, spent["by_model"]
    # The real key came from the proxy alone, and nothing but it reached the model.
    assert {one.key for one in agent.model.records.requests} <= set(KEYS.values())
