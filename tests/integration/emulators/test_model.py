"""The scripted model as agents and the proxy see it: over HTTP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from emulators.model.model import Model
from emulators.model.server import serving
from tests.support.eventually import eventually
from tests.support.patience import within

TOOLS = {
    "messages": [{"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}}],
    "responses": [{"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {}}}}],
    "chat": [{"type": "function", "function": {"name": "bash", "parameters": {"properties": {"command": {}}}}}],
}
PATHS = {"messages": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}


@pytest_asyncio.fixture
async def model() -> Model:
    return Model()


@pytest_asyncio.fixture
async def url(model: Model) -> AsyncIterator[str]:
    async with serving(model) as address:
        yield address


@pytest_asyncio.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, headers={"x-api-key": "k-1"}) as session:
        yield session


def body(api: str, text: str, *, stream: bool = False, tools: bool = True) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    found: dict[str, Any] = {"model": "m-1", "stream": stream, "max_tokens": 100, "tools": TOOLS[api] if tools else []}
    return found | ({"input": said} if api == "responses" else {"messages": said})


async def billed(http: aiohttp.ClientSession) -> dict[str, int]:
    async with http.get("/control/billed") as reply:
        return (await reply.json())["total"]


@pytest.mark.parametrize("api", PATHS)
async def test_a_stream_and_a_whole_answer_cost_the_same(http: aiohttp.ClientSession, model: Model, api: str) -> None:
    usages = []
    for stream in (True, False):
        model.reset()
        # The same length, so that the input has as many tokens.
        text = f"[model:run ls{'' if stream else ' '}]"
        async with http.post(PATHS[api], json=body(api, text, stream=stream)) as reply:
            assert reply.status == 200
            assert reply.content_type == ("text/event-stream" if stream else "application/json")
            await reply.read()
        usages.append(await billed(http))
    assert usages[0] == usages[1]
    assert usages[0]["requests"] == 1
    assert usages[0]["output_tokens"] > 0


@pytest.mark.parametrize(("api", "status"), [("messages", 402), ("responses", 400), ("chat", 529), ("messages", 429)])
async def test_a_refusal_is_recorded_and_costs_nothing(
    http: aiohttp.ClientSession, model: Model, api: str, status: int
) -> None:
    async with http.post(PATHS[api], json=body(api, f"[model:{status} reset=20]")) as reply:
        assert reply.status == status
        assert "error" in await reply.json()
        assert reply.headers["retry-after"] == "20"
    assert model.records.requests[0].state == "refused"
    assert (await billed(http))["requests"] == 0


async def test_a_stalled_answer_ends_when_its_client_goes_and_costs_nothing(
    http: aiohttp.ClientSession, model: Model
) -> None:
    async with http.post("/v1/messages", json=body("messages", "[model:stall]", stream=True)) as reply:
        assert reply.status == 200
        assert model.records.requests[0].state == "open"
    await eventually(lambda: model.records.requests[0].state == "left")
    assert (await billed(http))["requests"] == 0


@pytest.mark.parametrize("api", PATHS)
async def test_a_cut_stream_costs_what_was_produced(http: aiohttp.ClientSession, model: Model, api: str) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        async with http.post(PATHS[api], json=body(api, "[model:cut]", stream=True)) as reply:
            await reply.read()
    assert model.records.requests[0].state == "cut"
    assert 0 < (await billed(http))["output_tokens"] < 400


async def test_who_leaves_a_slow_stream_pays_for_what_was_produced(http: aiohttp.ClientSession, model: Model) -> None:
    async with http.post("/v1/messages", json=body("messages", "[model:slow 600]", stream=True)) as reply:
        await reply.content.readline()
    await eventually(lambda: model.records.requests[0].state == "left")
    await eventually(lambda: bool(model.records.bills))
    assert (await billed(http))["requests"] == 1


async def test_a_connection_that_is_dropped_has_no_answer(http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post("/v1/messages", json=body("messages", "[model:drop]"))


async def test_bills_are_by_key_and_model_and_side_requests_are_billed(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/messages", json=body("messages", "A title, please", tools=False)) as reply:
        assert (await reply.json())["content"][0]["type"] == "text"
    headers = {"authorization": "Bearer k-2"}
    async with http.post("/v1/responses", json=body("responses", "go"), headers=headers | {"x-api-key": ""}) as reply:
        assert reply.status == 200
    async with http.get("/control/billed") as reply:
        assert [(row["key"], row["model"]) for row in (await reply.json())["by"]] == [("k-1", "m-1"), ("k-2", "m-1")]


async def test_only_valid_keys_are_known(http: aiohttp.ClientSession, model: Model) -> None:
    model.keys = {"k-right"}
    for ask in (
        http.post("/v1/messages", json=body("messages", "go")),
        http.post("/v1/messages/count_tokens", json=body("messages", "go")),
        http.get("/v1/models"),
    ):
        async with ask as reply:
            assert reply.status == 401


async def test_counting_and_listing_are_free(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/messages/count_tokens", json=body("messages", "go")) as reply:
        assert (await reply.json())["input_tokens"] > 10
    async with http.get("/v1/models") as reply:
        assert (await reply.json())["data"]
    assert (await billed(http))["requests"] == 0


async def test_a_scenario_that_cannot_be_played_is_an_error(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/messages", json=body("messages", "[model:dance]")) as reply:
        assert reply.status == 400
        assert "dance" in await reply.text()


async def test_a_scenario_is_set_and_requests_are_read_over_http(http: aiohttp.ClientSession) -> None:
    scenario = {"match": "weather", "steps": [{"do": "say", "text": "Sunny"}]}
    async with http.post("/control/scenarios", json=scenario) as reply:
        assert reply.status == 200
    async with http.post("/v1/chat/completions", json=body("chat", "the weather?")) as reply:
        assert (await reply.json())["choices"][0]["message"]["content"] == "Sunny"
    async with http.get("/control/requests") as reply:
        [seen] = (await reply.json())["requests"]
    assert (seen["prompt"], seen["key"], seen["step"], seen["status"]) == ("the weather?", "k-1", "say", 200)
    assert json.loads(seen["body"])["model"] == "m-1"
    async with http.post("/control/scenarios", json={"steps": []}) as reply:
        assert reply.status == 422


async def test_a_process_of_its_own_says_its_port(tmp_path: Path) -> None:
    file = tmp_path / "port"
    program = [sys.executable, "-m", "emulators.model", "--port-file", str(file), "--key", "k"]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await within(process.stdout.readline(), 10)
        async with aiohttp.ClientSession() as http, http.get(f"{line.decode().strip()}/control/health") as reply:
            assert (await reply.json())["emulator"]
        assert line.decode().strip().endswith(f":{file.read_text()}")
    finally:
        process.terminate()
        assert await within(process.wait(), 10) == 0
