"""From a sentence to a URL, built by real agents with their programs, containers and proxy; the model is scripted."""

import httpx
import pytest

from contracts.states import AgentKind
from tests.support.agents.department import WISH
from tests.support.agents.real_platform import KEYS, RealPlatform
from workers.agents import AGENTS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

IN_THE_GATE = AgentKind.CLAUDE_CODE
AGENTS_WITH_A_MODEL = [
    pytest.param(row.kind, id=row.kind.value, marks=[] if row.kind is IN_THE_GATE else [pytest.mark.deep])
    for row in AGENTS
    if row.definition is not None
]


@pytest.mark.parametrize("agent", AGENTS_WITH_A_MODEL)
async def test_a_sentence_becomes_a_service_that_an_agent_has_built(real: RealPlatform, agent: AgentKind) -> None:
    stack, asked_before = real.stack, real.model.records.seen
    project = await stack.new_project()
    started = await stack.ok("delivery", "start", "--project", project, "--agent", agent.value, WISH)
    task = await stack.finished(started["task_id"], 400)
    assert task["state"] == "completed", task
    await assert_notes_are_kept(task["result"]["deployed_url"])
    assert {one["id"]: one["state"] for one in task["criteria"]} == {"p1": "met", "p2": "met"}, task["criteria"]
    asked = [one for one in real.model.records.requests if one.number > asked_before]
    assert {one.key for one in asked} <= set(KEYS.values()), "the proxy's key, and no token of a turn"


async def assert_notes_are_kept(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as visitor:
        made = await visitor.post("/notes", json={"title": "Milk", "text": "two bottles"})
        assert made.status_code == 201, made.text
        kept = await visitor.get(f"/notes/{made.json()['id']}")
        assert kept.json() == {"id": made.json()["id"], "title": "Milk", "text": "two bottles"}
