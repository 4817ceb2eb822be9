"""The model proxy as a process: its socket, a kill in a stream, an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.settings import Settings
from tests.integration.api.models.conftest import KEYS, ModelWorld, Turn
from tests.support.eventually import eventually
from tests.support.ports import any_free
from tests.support.vendor import message_events

ROOT = Path(__file__).parents[4]


@asynccontextmanager
async def process(world: ModelWorld, port: int, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m api.model_proxy` on the database of the API, once it answers."""
    env = {
        **os.environ, "ORCHESTRATOR_HOME": str(world.settings.home), "DATABASE_URL": world.api.database_url,
        "ORCHESTRATOR_MODEL_PROXY_PORT": str(port), "ORCHESTRATOR_ANTHROPIC_BASE_URL": world.vendor.url,
        "ANTHROPIC_API_KEY": KEYS["anthropic_api_key"], **variables,
    }  # fmt: skip
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "api.model_proxy", cwd=ROOT, env=env)
    try:
        await eventually(lambda: answers(port), timeout=60)
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def answers(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/health")).status_code == 200
        except httpx.TransportError:
            return False


def on_socket(settings: Settings) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(settings.model_socket))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8183", timeout=20)


async def ask(http: httpx.AsyncClient, turn: Turn) -> httpx.Response:
    body = {"model": "claude-opus-5-5", "stream": True}
    return await http.post("/v1/messages", json=body, headers={"Authorization": f"Bearer {turn.opened['token']}"})


async def spent(turn: Turn) -> dict[str, Any]:
    return await turn.spending()


@pytest.mark.deep
async def test_a_kill_in_a_stream_counts_once_and_the_next_process_goes_on(models: ModelWorld) -> None:
    port, turn = any_free(), await models.turn()
    events = message_events("claude-opus-5-5", 1000, 100)
    async with process(models, port) as first:
        mode = models.settings.model_socket.stat().st_mode & 0o777
        assert (mode, models.settings.model_socket.parent.stat().st_mode & 0o777) == (0o666, 0o755)
        async with on_socket(models.settings) as http:
            models.vendor.stream(events)
            assert (await ask(http, turn)).content == b"".join(events)
            models.vendor.stream(events, hold_at=3)
            asking = asyncio.ensure_future(ask(http, turn))
            await models.vendor.holding.wait()
            first.send_signal(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                await asking
    before = await spent(turn)
    assert (before["requests"], before["open_requests"], before["input_tokens"]) == (2, 1, 1000)
    models.vendor.reset()
    models.vendor.stream(events)
    async with process(models, port), on_socket(models.settings) as http:
        after = await spent(turn)
        assert (after["open_requests"], after["unknown_requests"]) == (0, 1)
        assert after["cost_usd"] == before["cost_usd"] > 0.006
        assert (after["limit"]["kind"], after["limit"]["account"]) == ("outage", "anthropic"), (
            "the turn can be repeated"
        )
        assert (await ask(http, turn)).status_code == 200
        assert (await spent(turn))["limit"] is None
        assert (await http.get("/health")).json() == {"status": "ok"}, "containers hear of no account"
    states = sorted(row["state"] for row in await models.requests(turn))
    assert states == ["answered", "answered", "lost"]


@pytest.mark.deep
async def test_an_orderly_end_lets_an_answer_pass_and_writes_down_what_it_cuts(models: ModelWorld) -> None:
    port, turn = any_free(), await models.turn()
    events = message_events("claude-opus-5-5", 1000, 100)
    models.vendor.stream(events, hold_at=3)
    async with process(models, port) as proxy, on_socket(models.settings) as http:
        asking = asyncio.ensure_future(ask(http, turn))
        await models.vendor.holding.wait()
        proxy.terminate()
        await eventually(lambda: refuses(port))
        models.vendor.go_on.set()
        assert (await asking).content == b"".join(events)
        async with asyncio.timeout(20):
            await proxy.wait()
    assert [row["state"] for row in await models.requests(turn)] == ["answered"]
    models.vendor.reset()
    models.vendor.stream(events, hold_at=3)
    async with process(models, port) as proxy, on_socket(models.settings) as http:
        asking = asyncio.ensure_future(ask(http, turn))
        await models.vendor.holding.wait()
        proxy.terminate()
        with pytest.raises(httpx.TransportError):
            await asking
        async with asyncio.timeout(30):
            await proxy.wait()
    assert sorted(row["state"] for row in await models.requests(turn)) == ["answered", "partial"]
    assert KEYS["anthropic_api_key"] not in str(await spent(turn))


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False
