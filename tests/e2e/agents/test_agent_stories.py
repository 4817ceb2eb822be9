"""From a sentence to a URL, built by real agents with their programs, containers and proxy; the model is scripted."""

import asyncio
import re

import httpx
import pytest

from contracts import ids
from contracts.models import ModelSpending
from contracts.states import AgentKind, TaskKind
from emulators.model.records import Bill
from tests.support.agents.department import WISH
from tests.support.agents.real_platform import KEYS, RealPlatform
from tests.support.agents.real_workers import spending
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
    stack, before = real.stack, real.model.records.seen
    clock = asyncio.get_running_loop().time
    began, project = clock(), await stack.new_project()
    started = await stack.ok("delivery", "start", "--project", project, "--agent", agent.value, WISH)
    task = await stack.finished(started["task_id"], 400)
    assert task["state"] == "completed", task
    await assert_notes_are_kept(task["result"]["deployed_url"])
    assert {one["id"]: one["state"] for one in task["criteria"]} == {"p1": "met", "p2": "met"}, task["criteria"]
    engineering = ids.child_task_id(started["task_id"], TaskKind.ENGINEERING)
    roles = turns_of(real, engineering)
    assert sorted(roles) == ["", "check-writer", "planner"], "each in a container of its own, once"
    spent, billed = [await spending(real, worker, 1) for worker in roles.values()], billed_since(real, before)
    assert counted(spent) == billed, "the proxy counts what the model bills, to the token"
    print(  # noqa: T201 - the figures of docs/agents.md
        f"{agent.value}: {clock() - began:.0f} s, {billed.requests} requests, "
        f"{billed.input_tokens + billed.cache_read_tokens + billed.cache_write_tokens} tokens sent, "
        f"{billed.output_tokens} received, ${sum(one.cost_usd for one in spent):.4f}"
    )


async def assert_notes_are_kept(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20) as visitor:
        made = await visitor.post("/notes", json={"title": "Milk", "text": "two bottles"})
        assert made.status_code == 201, made.text
        kept = await visitor.get(f"/notes/{made.json()['id']}")
        assert kept.json() == {"id": made.json()["id"], "title": "Milk", "text": "two bottles"}


def turns_of(real: RealPlatform, engineering: str) -> dict[str, str]:
    """Agent workers of a task by what they are for, empty for the Developer; one entry for each container's start.

    A second start of the same turn fails: it would be a second agent.
    """
    starts = [name for name in real.stack.container_starts() if name.startswith(f"turn-{engineering}-")]
    assert len(set(starts)) == len(starts), starts
    found = [re.fullmatch(rf"turn-({engineering}(?:-([a-z-]+))?)-1", name) for name in starts]
    assert all(found), starts
    return {one[2] or "": one[1] for one in found if one is not None}


def billed_since(real: RealPlatform, number: int) -> Bill:
    """What the model has billed for requests after `number`, all of them with the platform's key."""
    asked = [one for one in real.model.records.requests if one.number > number]
    assert {one.key for one in asked} <= set(KEYS.values()), "the proxy's key, and no token of a turn"
    bill = Bill()
    for one in asked:
        if one.usage is not None:
            bill.add(one.usage)
    return bill


def counted(spent: list[ModelSpending]) -> Bill:
    names = ("requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return Bill(**{name: sum(getattr(one, name) for one in spent) for name in names})
