"""The bill: what the proxy counts is what the scripted model bills, to the token, through each API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from emulators.model.model import Model
from emulators.model.server import serving
from tests.integration.api.models.conftest import KEYS, ModelWorld, modelled

TOKENS = ("requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
PATHS = {"messages": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "messages": [{"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}}],
    "responses": [{"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {}}}}],
    "chat": [{"type": "function", "function": {"name": "bash", "parameters": {"properties": {"command": {}}}}}],
}
SAYS = ["[model:say Hello]", "[model:huge 300000]", "[model:say Привет, \\u0000 \\ud83d]", "x" * 9000]


@pytest_asyncio.fixture(scope="module")
async def billing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ModelWorld, Model]]:
    model = Model()
    async with (
        serving(model) as url,
        modelled(tmp_path_factory.mktemp("bill"), anthropic_base_url=url, openai_base_url=f"{url}/v1") as world,
    ):
        yield world, model


def body(api: str, text: str, *, stream: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    said = [{"role": "user", "content": content if api == "messages" else text}]
    found: dict[str, Any] = {"model": "claude-opus-5-5" if api == "messages" else "gpt-6.1-sol", "stream": stream}
    if api == "chat" and stream:
        found["stream_options"] = {"include_usage": True}
    found["tools"] = TOOLS[api]
    return found | ({"input": said} if api == "responses" else {"messages": said, "max_tokens": 1000})


@pytest.mark.parametrize("api", PATHS)
async def test_to_the_token(billing: tuple[ModelWorld, Model], api: str) -> None:
    models, model = billing
    model.reset()
    turn = await models.turn()

    async def ask(text: str, *, stream: bool) -> httpx.Response:
        return await models.http.post(PATHS[api], json=body(api, text, stream=stream), headers=turn.headers)

    replies = await asyncio.gather(*(ask(text, stream=stream) for text in SAYS * 2 for stream in (True, False)))
    assert {reply.status_code for reply in replies} == {200}
    for status in (429, 529):
        refused = await ask(f"[model:{status} reset=1]", stream=True)
        assert refused.status_code == status
    spent, billed = await turn.spending(), model.records.billed()
    assert {name: spent[name] for name in TOKENS[1:]} == {name: billed["total"][name] for name in TOKENS[1:]}
    assert (billed["total"]["requests"], spent["requests"], spent["unknown_requests"]) == (16, 18, 0)
    assert {row["key"] for row in billed["by"]} <= set(KEYS.values())
    assert spent["cache_read_tokens"] > 0 or api != "messages"


async def test_an_answer_that_is_cut_is_no_less_than_what_is_known_of_it(billing: tuple[ModelWorld, Model]) -> None:
    models, model = billing
    model.reset()
    turn = await models.turn()
    with pytest.raises(httpx.TransportError):
        await models.http.post(
            PATHS["messages"], json=body("messages", "[model:cut]", stream=True), headers=turn.headers
        )
    spent, billed = await turn.spending(), model.records.billed()["total"]
    assert (spent["requests"], spent["unknown_requests"]) == (1, 1)
    assert spent["input_tokens"] + spent["cache_write_tokens"] in {
        0, billed["input_tokens"] + billed["cache_write_tokens"],
    }  # fmt: skip
    assert spent["cost_usd"] > 0
