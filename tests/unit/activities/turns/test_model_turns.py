"""An activity opens the way to a model, and closes it: the token is in no result, and a stopped turn has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.agent import AgentActivities
from activities.ports import AgentRuntime, Follow, Platform
from contracts.agent_workers import TurnOutcome
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.models import ModelLimit, ModelSpending, ModelTurn
from contracts.states import AgentKind
from contracts.steps import TurnRequest
from contracts.worker_steps import TurnLeft
from tests.support.workflows.fakes import FakePlatform


@dataclass
class Runtime:
    """Says that it is done, and remembers the way to a model that it was given."""

    models: list[ModelTurn | None] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    fails: OrchestratorError | None = None

    async def prepare_turn(self, request: TurnRequest) -> object | None:
        return None

    async def run_turn(
        self, request: TurnRequest, follow: Follow, model: ModelTurn | None = None, prepared: object | None = None
    ) -> TurnOutcome:
        self.models.append(model)
        if self.fails is not None:
            raise self.fails
        follow.facts["container"] = "turn-w1-1"
        await follow.report([], 7)
        return TurnOutcome(status="done", turn=request.turn, summary="Done.")

    async def stop_turn(self, request: TurnRequest) -> None:
        self.stopped.append(request.turn)

    async def left_by(self, request: TurnRequest) -> TurnLeft:
        return TurnLeft()


@dataclass
class Ending(FakePlatform):
    """Remembers whose tokens were ended."""

    ended: list[str] = field(default_factory=list)

    async def end_model_turn(self, worker_id: str, turn: int) -> ModelSpending:
        spending = await super().end_model_turn(worker_id, turn)
        self.ended.append(f"{worker_id}:{turn}")
        return spending


def request(agent: AgentKind = AgentKind.CODEX) -> TurnRequest:
    return TurnRequest(
        worker_id="w1", turn=1, request_id="r1", task_id="t1", project_id="p1", agent=agent, message="Build it."
    )


@pytest.fixture
def platform() -> Ending:
    return Ending()


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def activities(platform: Ending, runtime: Runtime) -> AgentActivities:
    return AgentActivities(cast(AgentRuntime, runtime), cast(Platform, platform))


async def test_the_token_reaches_the_runtime_and_no_result(
    activities: AgentActivities, runtime: Runtime, platform: Ending
) -> None:
    beats: list[tuple[object, ...]] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)
    result = await environment.run(activities.run_turn, request())
    (model,) = runtime.models
    assert model is not None
    assert model.token not in result.model_dump_json()
    assert (7, {"container": "turn-w1-1"}) in beats
    assert (platform.ended, result.outcome.spending) == (["w1:1"], ModelSpending())


async def test_a_refused_turn_comes_to_the_runtime_which_knows_whether_it_has_begun(
    activities: AgentActivities, runtime: Runtime, platform: Ending
) -> None:
    platform.turn_refusal = ModelLimit(kind="budget", message="Nothing is left.")
    await ActivityEnvironment().run(activities.run_turn, request())
    assert [model.refused for model in runtime.models if model] == [platform.turn_refusal]


async def test_an_agent_without_a_model_opens_none(
    activities: AgentActivities, runtime: Runtime, platform: Ending
) -> None:
    result = await ActivityEnvironment().run(activities.run_turn, request(AgentKind.SCRIPTED))
    assert (runtime.models, platform.spendings, result.outcome.spending) == ([None], {}, None)


@pytest.mark.parametrize(
    ("error_class", "ended"), [(ErrorClass.PERMANENT, ["w1:1"]), (ErrorClass.TRANSIENT, [])], ids=str
)
async def test_a_turn_that_is_lost_or_out_of_time_has_no_token_any_more(
    activities: AgentActivities, runtime: Runtime, platform: Ending, error_class: ErrorClass, ended: list[str]
) -> None:
    runtime.fails = OrchestratorError(ErrorCode.AGENT_LOST, "Killed from outside.", error_class=error_class)
    with pytest.raises(OrchestratorError, match="Killed from outside"):
        await ActivityEnvironment().run(activities.run_turn, request())
    assert platform.ended == ended, "what is tried again needs it"


async def test_a_stopped_turn_has_no_token_any_more(
    activities: AgentActivities, runtime: Runtime, platform: Ending
) -> None:
    await ActivityEnvironment().run(activities.stop_turn, request())
    assert platform.ended == [], "it was never opened"
    await ActivityEnvironment().run(activities.run_turn, request())
    await ActivityEnvironment().run(activities.stop_turn, request())
    assert platform.ended == ["w1:1", "w1:1"]
    assert runtime.stopped == [1, 1]
