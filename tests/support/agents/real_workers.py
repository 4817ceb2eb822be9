"""Agent workers with real agents, as a person talks to them, and what can be counted about a turn from outside."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import httpx

from contracts.agent_workers import SendMessageResponse
from contracts.ids import turn_name
from contracts.models import ModelSpending
from contracts.states import AgentKind, AgentWorkerState
from emulators.model.records import Record
from tests.support.agents.real_platform import RealPlatform
from tests.support.eventually import eventually

_UNREACHABLE = 500


@dataclass(frozen=True)
class RealTurn:
    """A message on its way. `mark` stands in its prompt and nowhere else."""

    worker: RealWorker
    number: int
    request_id: str
    mark: str

    async def ended(self, timeout: float) -> SendMessageResponse:
        """The answer; the platform may be unavailable meanwhile."""
        path = f"/workers/{self.worker.id}/messages"
        body = {"request_id": self.request_id, "message": self.message}

        async def answer() -> SendMessageResponse | None:
            found = await self.worker.posted(f"{path}?wait_s=5", body)
            response = None if found is None else found["response"]
            return None if response is None else SendMessageResponse.model_validate(response)

        found: SendMessageResponse | None = await eventually(answer, timeout, message=f"the end of {self.name}")
        assert found is not None
        return found

    @property
    def message(self) -> str:
        return f"{self.mark} {self.worker.directives}"

    @property
    def name(self) -> str:
        """Of its container."""
        return turn_name(self.worker.id, self.number)

    @property
    def containers(self) -> list[str]:
        """Every start of a container of this turn, as the engine tells."""
        starts = self.worker.platform.stack.container_starts()
        return [name for name in starts if name == self.name or name.startswith(f"{self.name}-")]

    @property
    def asked(self) -> list[Record]:
        """Requests of the work of this turn: those whose newest prompt is its message."""
        return [one for one in self.worker.platform.asked(self.mark) if self.mark in one.prompt]


@dataclass(frozen=True)
class RealWorker:
    """An agent worker of a platform. `directives`: what the model is told to do in each of its turns."""

    platform: RealPlatform
    id: str
    directives: str

    @classmethod
    async def made(
        cls, platform: RealPlatform, directives: str, agent: AgentKind = AgentKind.CLAUDE_CODE
    ) -> RealWorker:
        """One that waits for its first message."""
        one = cls(platform, f"w-{uuid4().hex[:12]}", directives)
        made = await one.posted("/workers", {"worker_id": one.id, "name": "Real", "agent": agent.value})
        assert made is not None, "the platform takes no agent worker"
        # It is known to the API once its workflow has told of it, a moment after its start.
        await eventually(one.is_idle, 60, message=f"{one.id} waiting for a message")
        return one

    async def is_idle(self) -> bool:
        return bool((await self.platform.stack.get(f"/workers/{self.id}"))["state"] == AgentWorkerState.IDLE)

    async def told(self, number: int) -> RealTurn:
        """Send the message of turn `number`, the first being 1."""
        turn = RealTurn(self, number, f"r-{uuid4().hex}", f"mark-{uuid4().hex}")
        body = {"request_id": turn.request_id, "message": turn.message}
        taken = await self.posted(f"/workers/{self.id}/messages", body)
        assert taken is not None, "the platform takes no message"
        return turn

    async def posted(self, path: str, body: dict[str, object]) -> dict[str, object] | None:
        """The API's answer; None while the platform is unavailable."""
        try:
            async with self.platform.stack.http() as http:
                reply = await http.post(path, json=body, timeout=40)
        except httpx.TransportError:
            return None
        if reply.status_code >= _UNREACHABLE:
            return None
        assert reply.status_code in {200, 201}, reply.text
        return dict(reply.json())


async def spending(platform: RealPlatform, worker_id: str, turn: int) -> ModelSpending:
    """What a turn has spent, as the proxy has counted it."""
    key = platform.stack.settings.api_service_key_file.read_text().strip()
    async with platform.stack.http() as http:
        path = f"/internal/model-turns/{worker_id}/{turn}"
        reply = await http.get(path, headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return ModelSpending.model_validate_json(reply.content)
