"""The bill: what the proxy counts for a turn is what the model bills, to the token, whatever the agent admits.

The agents, their containers, the proxy with its database and the way between them are real; the model is scripted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import uvicorn

from activities.adapters.containers.images import DockerImages
from api.model_proxy.serving import listen, opened
from emulators.model.model import Model
from emulators.model.server import serving
from runtime.settings import Settings
from tests.integration.agents.agents import Agent
from tests.integration.agents.conftest import WAYS, sockets
from tests.integration.agents.places import ContainerPlace
from tests.support.api import Api, running_api

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]

TOKENS = ("requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
KEYS = {"anthropic_api_key": "sk-ant-real-key-of-the-vendor", "openai_api_key": "sk-oai-real-key-of-the-vendor"}


@dataclass
class Metered:
    """An agent whose requests go through the proxy, in a turn that the API has opened."""

    agent: Agent
    model: Model
    api: Api
    worker: str

    async def spending(self) -> dict[str, Any]:
        reply = await self.api.http.get(f"/internal/model-turns/{self.worker}/1", headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found


@pytest_asyncio.fixture(scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture(params=WAYS, ids=[f"{definition.kind.value}-{runner}" for definition, runner in WAYS])
async def metered(
    request: pytest.FixtureRequest, images: DockerImages, model: Model, api: Api, tmp_path: Path
) -> AsyncIterator[Metered]:
    definition, runner = request.param
    worker = f"w-{uuid4().hex[:8]}"
    body = {
        "worker_id": worker, "turn": 1, "task_id": f"eng-{uuid4().hex[:8]}", "project_id": f"p-{uuid4().hex[:8]}",
        "user_id": 1, "agent": definition.kind.value,
    }  # fmt: skip
    # What a test before has heard of an account holds for all, as it should.
    await api.execute("DELETE FROM model_accounts")
    with sockets() as folder:
        place = ContainerPlace(await images.agent(definition.kind), tmp_path, folder)
        async with serving(model) as url, proxied(api, url, folder):
            reply = await api.http.post("/internal/model-turns", json=body, headers=api.platform)
            assert reply.status_code == 200, reply.text
            yield Metered(Agent(definition, runner, place, reply.json()["token"]), model, api, worker)


@asynccontextmanager
async def proxied(api: Api, vendor: str, folder: Path) -> AsyncIterator[None]:
    """The proxy at the socket that containers see, with the scripted model as every vendor."""
    upstream = {"anthropic_base_url": vendor, "openai_base_url": f"{vendor}/v1"}
    settings = Settings(**(api.settings.model_dump() | KEYS | upstream))
    async with opened(settings, api.database_url) as proxy:
        config = uvicorn.Config(proxy, lifespan="off", log_config=None, timeout_graceful_shutdown=1, ws="none")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listen(folder / "proxy.sock")])
        try:
            yield
        finally:
            server.should_exit = True
            await server.shutdown()


async def test_the_proxy_counts_what_the_model_bills(metered: Metered, record_property: Callable[..., None]) -> None:
    seen = await metered.agent.turn("[model:write hello.txt Hello][model:run ls]")
    assert seen.ended == "completed", seen.last
    spent, billed = await metered.spending(), metered.model.records.billed()["total"]
    found = {"agent": metered.agent.name, "billed": billed, "spent": spent, "claims": seen.usage}
    record_property("cost", json.dumps(found))
    assert {name: spent[name] for name in TOKENS} == {name: billed[name] for name in TOKENS}
    assert spent["cost_usd"] > 0
    assert all(use["price_known"] for use in spent["by_model"]) == (spent["unknown_requests"] == 0)
    # The real key came from the proxy alone, and nothing but it reached the model.
    assert {one.key for one in metered.model.records.requests} <= set(KEYS.values())


async def test_a_loop_ends_with_its_budget(metered: Metered) -> None:
    """One request at the most after the money is spent."""
    await _choose(metered, "turn_budget_usd", 0.2)
    try:
        seen = await metered.agent.turn("[model:loop]")
    finally:
        await _choose(metered, "turn_budget_usd", None)
    spent = await metered.spending()
    assert seen.ended in {"failed agent_error", "completed"}, seen.last
    assert spent["limit"]["kind"] == "budget"
    assert spent["cost_usd"] <= 0.2 + _dearest(metered)


async def test_a_usage_window_is_told_and_ends_the_turn(metered: Metered) -> None:
    seen = await metered.agent.turn("[model:429 reset=7200]", silence_s=30.0)
    spent = await metered.spending()
    assert seen.ended != "stopped"
    assert spent["limit"]["kind"] == "window"
    assert spent["limit"]["until"]
    assert len(metered.model.records.requests) <= 3


async def _choose(metered: Metered, name: str, value: object) -> None:
    reply = await metered.api.http.put(f"/settings/{name}", json={"value": value}, headers=metered.api.admin)
    assert reply.status_code == 200, reply.text


def _dearest(metered: Metered) -> float:
    """An amount that no single request of these agents costs."""
    return 0.15
