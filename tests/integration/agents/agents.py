"""One agent of the table in a place of its own, in front of the proxy: how a test starts its turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from activities.adapters.agents.base import AgentCall, Place, Runner, Told
from activities.adapters.agents.wrapped import PYTHON, AgentDefinition, Configured, Way, WrappedAgent
from activities.adapters.containers.workspaces import HOME, WORKSPACE
from contracts.models import ModelTurn
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from emulators.model.model import Model
from emulators.model.records import Record
from tests.integration.agents.metering import Meter, concluded
from tests.integration.agents.places import SCRIPT, ContainerPlace
from tests.integration.agents.turns import During, Seen, run
from workers.agents import AGENTS

SCRIPTED = AgentDefinition(
    kind=AgentKind.SCRIPTED,
    api="messages",
    runner="acp",
    ways={"acp": Way([str(PYTHON), SCRIPT, "--acp"])},
    configured=lambda _: Configured(),
)
"""The script as an agent of the protocol. It has no model, so it asks none."""
DEFINITIONS = [SCRIPTED, *(row.definition for row in AGENTS if row.definition is not None)]
WAYS: list[tuple[AgentDefinition, Runner]] = [(one, runner) for one in DEFINITIONS for runner in one.ways]


def way_id(way: tuple[AgentDefinition, Runner]) -> str:
    return f"{way[0].kind.value}-{way[1]}"


@dataclass
class Agent:
    """`model` is who answers behind the proxy."""

    definition: AgentDefinition
    runner: Runner
    place: ContainerPlace
    model: Model
    meter: Meter

    @property
    def name(self) -> tuple[str, str]:
        return self.definition.kind.value, self.runner

    @property
    def is_scripted(self) -> bool:
        return self.definition.kind is AgentKind.SCRIPTED

    @property
    def work(self) -> list[Record]:
        """What the model was asked for the work; not for a title and the like."""
        return [one for one in self.model.records.requests if not one.side and one.path != "/v1/messages/count_tokens"]

    async def turn(
        self, prompt: str, *, session: str | None = None, during: During | None = None, silence_s: float = 600.0
    ) -> Seen:
        """One turn in a container of its own, opened and ended at the proxy, to its end."""
        model = await self.meter.open()
        assert model.refused is None
        name = f"turn-{uuid4().hex[:8]}"
        seen = await run(self.place, self._call(name, prompt, session, silence_s, model), name, during)
        seen.spending = await self.meter.end()
        seen.outcome = concluded(seen, self._request(name, prompt, session), seen.spending)
        return seen

    def _call(self, name: str, prompt: str, session: str | None, silence_s: float, model: ModelTurn) -> AgentCall:
        cli = WrappedAgent(self.definition, self.runner, silence_s=silence_s)
        return cli.call(Told(prompt, session, model), Place(name, Path(HOME), Path(WORKSPACE)))

    def _request(self, name: str, prompt: str, session: str | None) -> TurnRequest:
        return TurnRequest(
            worker_id=self.meter.worker, turn=self.meter.number, request_id=name, task_id=self.meter.task,
            project_id="p-1", agent=self.definition.kind, message=prompt, session_id=session,
        )  # fmt: skip
