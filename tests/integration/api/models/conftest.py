"""A model proxy in front of a vendor, on the database of an API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import uvicorn

from api.model_proxy.app import ModelProxy
from api.model_proxy.serving import opened
from runtime.settings import Settings
from tests.support.api import Api, Headers, running_api
from tests.support.vendor import Vendor, vendor

KEYS = {"anthropic_api_key": "sk-ant-real-key-of-the-vendor", "openai_api_key": "sk-oai-real-key-of-the-vendor"}


@dataclass
class ModelWorld:
    """`http` is an agent's client of the proxy."""

    api: Api
    vendor: Vendor
    proxy: ModelProxy
    url: str
    http: httpx.AsyncClient
    settings: Settings
    chosen: list[str] = field(default_factory=list)

    async def turn(self, project_id: str = "", turn: int = 1, **fields: Any) -> Turn:
        """Open a turn of a fresh agent worker; of a fresh task and project unless they are named."""
        body = {
            "worker_id": f"w-{uuid4().hex[:8]}", "turn": turn, "task_id": f"eng-{uuid4().hex[:8]}",
            "project_id": project_id or f"p-{uuid4().hex[:8]}", "user_id": 1, "agent": "claude-code", **fields,
        }  # fmt: skip
        reply = await self.api.http.post("/internal/model-turns", json=body, headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        return Turn(self, body, reply.json())

    async def reset(self) -> None:
        self.vendor.reset()
        for name in dict.fromkeys(self.chosen):
            await self.set(name, None)
        self.chosen.clear()
        for account in self.proxy.accounts.accounts.values():
            account.limits.clear()
        await self.api.execute("DELETE FROM model_accounts")
        await self.api.execute("DELETE FROM model_windows")

    async def requests(self, turn: Turn) -> list[Any]:
        """The rows of a turn."""
        return await self.api.rows("SELECT * FROM model_requests WHERE worker_id = $1", turn.body["worker_id"])

    async def set(self, name: str, value: object) -> None:
        """Choose a setting of the installation."""
        self.chosen.append(name)
        reply = await self.api.http.put(f"/settings/{name}", json={"value": value}, headers=self.api.admin)
        assert reply.status_code == 200, reply.text


@dataclass
class Turn:
    world: ModelWorld
    body: dict[str, Any]
    opened: dict[str, Any]

    @property
    def headers(self) -> Headers:
        return {"x-api-key": self.opened["token"]}

    async def ask(self, path: str = "/v1/messages", model: str = "claude-opus-5-5", **fields: Any) -> httpx.Response:
        body = {"model": model, "max_tokens": 100, "stream": True, **fields}
        return await self.world.http.post(path, json=body, headers=self.headers)

    async def spending(self) -> dict[str, Any]:
        path = f"/internal/model-turns/{self.body['worker_id']}/{self.body['turn']}"
        reply = await self.world.api.http.get(path, headers=self.world.api.platform)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found


@asynccontextmanager
async def served(proxy: ModelProxy) -> AsyncIterator[str]:
    """The proxy behind a real socket."""
    config = uvicorn.Config(proxy, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await server.main_loop()
        await server.shutdown()


@asynccontextmanager
async def modelled(directory: Path, **chosen: Any) -> AsyncIterator[ModelWorld]:
    async with vendor() as upstream, running_api(directory) as api:
        settings = api.settings.model_copy(
            update={"anthropic_base_url": upstream.url, "openai_base_url": f"{upstream.url}/v1"}
        )
        settings = Settings(**(settings.model_dump() | KEYS | chosen))
        async with (
            opened(settings, api.database_url) as proxy,
            served(proxy) as url,
            httpx.AsyncClient(base_url=url, timeout=20) as http,
        ):
            yield ModelWorld(api, upstream, proxy, url, http, settings)


@pytest_asyncio.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ModelWorld]:
    async with modelled(tmp_path_factory.mktemp("models")) as world:
        yield world


@pytest_asyncio.fixture
async def models(shared: ModelWorld) -> AsyncIterator[ModelWorld]:
    """As new for each test: nothing was asked, set or heard."""
    yield shared
    await shared.reset()
