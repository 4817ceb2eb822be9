"""One suite for all agents, each in its container: how turns end, what is kept, and what the model was asked.

The wrapper, the agents and the proxy with its database are real; the model is scripted.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from contracts.agent_workers import TurnOutcome
from tests.integration.agents.agents import WAYS, Agent, way_id
from tests.integration.agents.metering import KEYS
from tests.integration.agents.scenarios import (
    DEVIATIONS,
    FORGETS,
    LOSES_A_STEER,
    OTHERWISE,
    SCENARIOS,
    Scenario,
)
from tests.integration.agents.turns import Event, RunningTurn, Seen
from tests.support.patience import promised

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]

Note = Callable[[str, object], None]
EACH = pytest.mark.parametrize("agent", WAYS, indirect=True, ids=way_id)
_DEAREST = 0.15
"""US dollars that no single request of these agents costs."""
CASES = [
    pytest.param(way, scenario, id=f"{way_id(way)}-{scenario.name.replace(' ', '-')}")
    for way in WAYS
    for scenario in SCENARIOS
    if scenario.script or way_id(way) != "scripted-acp"
]


def noted(agent: Agent, scenario: str, seen: Seen, note: Note) -> None:
    """For the table of docs/agents.md: `tests.integration.agents.table` reads it from the report of the run."""
    assert seen.outcome is not None
    limit = seen.outcome.limit
    found = {
        "agent": agent.name,
        "scenario": scenario,
        "status": _status(seen, seen.outcome),
        "limit": None if limit is None or limit.warning else limit.kind,
        "ended": seen.ended,
        "last": agent.work[-1].status if agent.work else None,
        "work": len(agent.work),
    }
    note("conformance", json.dumps(found))


def _status(seen: Seen, outcome: TurnOutcome) -> str:
    if outcome.fresh_context:
        return "begun anew"
    return "stopped" if seen.last["type"] == "stopped" else outcome.status


@pytest.mark.parametrize(("agent", "scenario"), CASES, indirect=["agent"])
async def test_a_turn_ends_as_specified(agent: Agent, scenario: Scenario, record_property: Note) -> None:
    scripted = agent.is_scripted
    await agent.meter.budget(scenario.budget)
    try:
        seen = await agent.turn(
            scenario.script if scripted else scenario.prompt,
            session=scenario.session,
            during=scenario.during(lambda: agent.work, scripted=scripted),
            silence_s=promised(scenario.silence_s),
        )
    finally:
        await agent.meter.budget(None)
    noted(agent, scenario.name, seen, record_property)
    assert seen.outcome is not None
    if (*agent.name, scenario.name) in OTHERWISE:
        assert (seen.ended, seen.outcome.status) == OTHERWISE[*agent.name, scenario.name], seen.last
        return
    _has_ended(agent, scenario, seen)
    _has_spent(agent, scenario, seen)
    if not (scenario.steer and agent.name in LOSES_A_STEER):
        for name in scenario.script_files if scripted else scenario.files:
            assert (agent.place.workspace / name).exists(), name


def _has_ended(agent: Agent, scenario: Scenario, seen: Seen) -> None:
    """For the wrapper, and for the platform, which sees more."""
    assert seen.outcome is not None
    assert seen.ended in DEVIATIONS.get((*agent.name, scenario.name), scenario.ends), seen.last
    assert seen.outcome.status == scenario.status, seen.outcome
    limit = seen.outcome.limit
    assert (None if limit is None else limit.kind) == scenario.limit, limit
    assert seen.outcome.fresh_context == (scenario.session is not None)


def _has_spent(agent: Agent, scenario: Scenario, seen: Seen) -> None:
    if not agent.is_scripted:
        # A refused key stops the turn, and what was refused first may be a title that was asked for beside the work.
        asked = agent.work or [one for one in agent.model.records.requests if one.state == "refused"]
        assert (asked[-1].status if asked else None) in scenario.last
    assert len(agent.work) <= scenario.requests
    if scenario.budget is not None:
        assert seen.spending.cost_usd <= scenario.budget + _DEAREST, "one request at most goes beyond it"
    assert {one.key for one in agent.model.records.requests} <= set(KEYS.values())


@EACH
async def test_a_session_goes_on_in_another_container(agent: Agent, record_property: Note) -> None:
    first = await agent.turn("[model:say One][model:write two.txt Two] Notes with a title and a text.")
    assert first.ended == "completed", first.last
    assert first.session_id is not None
    second = await agent.turn("Go on, please.", session=first.session_id)
    noted(agent, "resume", second, record_property)
    if agent.name in FORGETS:
        assert second.ended == "failed crash"
        return
    assert second.ended == "completed", second.last
    assert second.session_id == first.session_id
    if not agent.is_scripted:
        assert (agent.place.workspace / "two.txt").exists()
        # The model was told of the first prompt once more, as a part of the same conversation.
        assert "[model:say One]" in agent.work[-1].body


@EACH
async def test_the_session_is_known_before_the_prompt_is_sent(agent: Agent) -> None:
    seen = await agent.turn("[model:say Hi]")
    types = [event["type"] for event in seen.events]
    if types.index("session") > types.index("prompt"):
        # A one-shot program that chooses its session itself says so with its first line.
        assert agent.runner == "exec"
        assert types.index("session") < types.index("update")


@EACH
async def test_a_killed_container_leaves_a_session_that_goes_on(agent: Agent, record_property: Note) -> None:
    named: list[str] = []

    async def kill(turn: RunningTurn, event: Event) -> None:
        named.extend([event["session_id"]] if event["type"] == "session" else [])
        if event["type"] == "update":
            await turn.place.kill(turn.name)

    await agent.turn("[model:write one.txt One][model:run tail -f /dev/null][agent:hang]", during=kill)
    assert named
    after = await agent.turn("Rather [model:write after.txt A] Notes with a title and a text.", session=named[-1])
    noted(agent, "resume after the container is gone", after, record_property)
    if agent.name in FORGETS:
        assert after.ended == "failed crash"
        return
    assert after.ended in {"completed", "failed session_unknown"}, after.last
    if after.ended == "completed" and not agent.is_scripted:
        assert (agent.place.workspace / "after.txt").exists()
