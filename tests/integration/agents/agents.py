"""One agent of the table in a place of its own: how a test starts its turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from activities.adapters.agents.base import AgentCall, Place, Runner, Told
from activities.adapters.agents.wrapped import AgentDefinition, WrappedAgent
from activities.adapters.containers.workspaces import HOME, WORKSPACE
from contracts.models import ModelTurn
from tests.integration.agents.places import ContainerPlace
from tests.integration.agents.turns import During, Seen, run


@dataclass
class Agent:
    """`token` is what the model's side sees as the key."""

    definition: AgentDefinition
    runner: Runner
    place: ContainerPlace
    token: str = "omt-conformance"

    @property
    def name(self) -> tuple[str, str]:
        return self.definition.kind.value, self.runner

    @property
    def refusal(self) -> int:
        """The status that stops this agent at once."""
        return 402 if self.definition.api == "messages" else 400

    async def turn(
        self, prompt: str, *, session: str | None = None, during: During | None = None, silence_s: float = 600.0
    ) -> Seen:
        """One turn in a container of its own, to its end."""
        name = f"turn-{uuid4().hex[:8]}"
        call = self._call(name, prompt, session, silence_s)
        return await run(self.place, call, name, during)

    def _call(self, name: str, prompt: str, session: str | None, silence_s: float) -> AgentCall:
        told = Told(prompt, session, ModelTurn(token=self.token))
        cli = WrappedAgent(self.definition, self.runner, silence_s=silence_s)
        return cli.call(told, Place(name, Path(HOME), Path(WORKSPACE)))
