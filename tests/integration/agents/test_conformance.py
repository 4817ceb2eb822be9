"""One suite for all agents, each in its container: how turns end, what is kept, and what the model was asked.

The wrapper and the agents are real, the model is scripted; it stands where the proxy does.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from activities.agent import judged_by_the_model
from contracts.agent_workers import TurnOutcome
from contracts.models import ModelSpending
from emulators.model.model import Model
from emulators.model.records import Record
from tests.integration.agents.agents import Agent
from tests.integration.agents.scenarios import DEVIATIONS, LOSES_A_STEER, REFUSAL, SCENARIOS, Scenario
from tests.integration.agents.turns import Seen

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]

Note = Callable[[str, object], None]


def work(model: Model) -> list[Record]:
    """The requests of the work; not those for a title and the like."""
    return [one for one in model.records.requests if not one.side and one.path != "/v1/messages/count_tokens"]


def noted(agent: Agent, scenario: str, seen: Seen, model: Model, note: Note) -> None:
    """For the table of docs/agents.md: `tests.integration.agents.table` reads it from the report of the run."""
    last = work(model)[-1].status if work(model) else None
    found = {
        "agent": agent.name,
        "scenario": scenario,
        "ended": seen.ended,
        "last": last,
        "work": len(work(model)),
    }
    note("conformance", json.dumps(found))


def concluded(seen: Seen, model: Model) -> str:
    """The status of the turn, as the activity concludes it from both accounts."""
    said = TurnOutcome(status="done" if seen.ended == "completed" else "failed", turn=1)
    statuses = [one.status for one in work(model) if one.status is not None]
    spending = ModelSpending(requests=len(statuses), last_status=statuses[-1] if statuses else None)
    return judged_by_the_model(said, spending).status


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name.replace(" ", "-"))
async def test_a_turn_ends_as_specified(agent: Agent, model: Model, scenario: Scenario, record_property: Note) -> None:
    prompt = scenario.prompt.replace("{refusal}", str(agent.refusal))
    seen = await agent.turn(
        prompt,
        session=scenario.session,
        during=scenario.during(lambda: work(model)),
        silence_s=scenario.silence_s,
    )
    noted(agent, scenario.name, seen, model, record_property)
    assert seen.ended in DEVIATIONS.get((*agent.name, scenario.name), scenario.ends), seen.last
    if seen.ended in scenario.ends:
        last = work(model)[-1].status if work(model) else None
        assert last in {agent.refusal if one == REFUSAL else one for one in scenario.last}
        if not (scenario.steer and agent.name in LOSES_A_STEER):
            assert {path.name for path in agent.place.workspace.iterdir()} >= set(scenario.files)
    if work(model) and (work(model)[-1].status or 200) >= 400:
        assert concluded(seen, model) == "failed", "what the agent hides, the last answer of the model shows"
    assert len(work(model)) <= scenario.requests
    assert {one.key for one in model.records.requests} <= {agent.token}


async def test_a_session_goes_on_in_another_container(agent: Agent, model: Model, record_property: Note) -> None:
    first = await agent.turn("[model:say One][model:write two.txt Two]")
    assert first.ended == "completed", first.last
    assert first.session_id is not None
    second = await agent.turn("Go on, please.", session=first.session_id)
    noted(agent, "resume", second, model, record_property)
    if agent.name == ("factory-droid", "exec"):
        assert second.ended == "failed crash"
        return
    assert second.ended == "completed", second.last
    assert (agent.place.workspace / "two.txt").exists()
    # The model was told of the first prompt once more, as a part of the same conversation.
    assert "[model:say One]" in work(model)[-1].body


async def test_the_session_is_known_before_the_prompt_is_sent(agent: Agent, model: Model) -> None:
    seen = await agent.turn("[model:say Hi]")
    types = [event["type"] for event in seen.events]
    if types.index("session") > types.index("prompt"):
        # A one-shot program that chooses its session itself says so with its first line.
        assert agent.runner == "exec"
        assert types.index("session") < types.index("update")


async def test_a_killed_container_leaves_a_session_that_goes_on(agent: Agent, model: Model) -> None:
    if agent.name == ("factory-droid", "exec"):
        return  # its sessions end with their program: see above
    named: list[str] = []

    async def kill(turn, event) -> None:
        named.extend([event["session_id"]] if event["type"] == "session" else [])
        if event["type"] == "update":
            await turn.place.kill(turn.name)

    await agent.turn("[model:write one.txt One][model:run tail -f /dev/null]", during=kill)
    assert named
    after = await agent.turn("Rather [model:write after.txt A]", session=named[-1])
    assert after.ended in {"completed", "failed session_unknown"}, after.last
    if after.ended == "completed":
        assert (agent.place.workspace / "after.txt").exists()
