"""The model proxy in front of an agent: turns are opened and ended as the activity does, and judged like there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn

from activities.adapters.agents.outcome import EndedTurn, forgot, outcome_of
from activities.adapters.agents.wrapper_lines import WrapperLines
from activities.adapters.runs.states import RunStatus
from activities.agent import judged_by_the_model
from api.model_proxy.serving import listen, opened
from contracts.agent_workers import TurnOutcome
from contracts.artifacts import ArtifactRef
from contracts.models import ModelSpending, ModelTurn
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from runtime.settings import Settings
from tests.integration.agents.turns import Seen
from tests.support.api import Api

KEYS = {"anthropic_api_key": "sk-ant-real-key-of-the-vendor", "openai_api_key": "sk-oai-real-key-of-the-vendor"}
_HASH = "0" * 64
_NOWHERE = ArtifactRef(uri=f"artifact://{_HASH}/turn.jsonl", sha256=_HASH, size_bytes=1)


@asynccontextmanager
async def proxied(api: Api, vendor: str, folder: Path) -> AsyncIterator[None]:
    """The proxy at the socket that containers see, with the scripted model as every vendor."""
    # What a test before has heard of an account holds for all, as it should.
    await api.execute("DELETE FROM model_accounts")
    await api.execute("DELETE FROM model_windows")
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


@dataclass
class Meter:
    """The turns of one agent worker at the proxy, one after the other."""

    api: Api
    kind: AgentKind
    worker: str = field(default_factory=lambda: f"w-{uuid4().hex[:8]}")
    task: str = field(default_factory=lambda: f"eng-{uuid4().hex[:8]}")
    number: int = 0

    async def open(self) -> ModelTurn:
        """The next turn."""
        self.number += 1
        body = {
            "worker_id": self.worker, "turn": self.number, "task_id": self.task, "project_id": f"p-{self.task}",
            "user_id": 1, "agent": self.kind.value,
        }  # fmt: skip
        return ModelTurn.model_validate(await self._posted("/internal/model-turns", body))

    async def end(self) -> ModelSpending:
        path = f"/internal/model-turns/{self.worker}/{self.number}/end"
        return ModelSpending.model_validate(await self._posted(path, None))

    async def budget(self, usd: float | None) -> None:
        """What one turn may spend, of everybody."""
        reply = await self.api.http.put("/settings/turn_budget_usd", json={"value": usd}, headers=self.api.admin)
        assert reply.status_code == 200, reply.text

    async def _posted(self, path: str, body: dict[str, Any] | None) -> object:
        reply = await self.api.http.post(path, json=body, headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        found: object = reply.json()
        return found


def concluded(seen: Seen, request: TurnRequest, spending: ModelSpending) -> TurnOutcome:
    """How the turn ends for the platform, by what the wrapper wrote and what the proxy saw: its own code says it.

    `fresh_context`: it would be begun anew, without its session.
    """
    reader = WrapperLines()
    for event in seen.events:
        reader.feed(json.dumps(event).encode())
    status = RunStatus(name=request.request_id, state="exited", exit_code=seen.code)
    ended = EndedTurn(request.request_id, status, reader.report, 0)
    outcome = outcome_of(request, ended, None, _NOWHERE, forgot(request, ended))
    return judged_by_the_model(outcome, spending)
