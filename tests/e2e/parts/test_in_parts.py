"""A large work in parts: judged by the forge, the agent's own log, what people are told, and the URL."""

import httpx
import pytest

from tests.support.outside import agent_starts
from tests.support.people.scenarios_of_parts import TOTAL, part
from tests.support.people.story import Story

pytestmark = [pytest.mark.timeout(1_200), pytest.mark.deep, pytest.mark.story("parts")]


async def test_a_part_that_is_stopped_blocks_what_waits_for_it_and_the_others_are_built(story: Story) -> None:
    shown = story.seen["stopped"]["parts"]
    assert [one["state"] for one in shown] == ["completed", "failed", "blocked", "completed"]
    assert (shown[1]["after"], shown[2]["after"], shown[2]["blocked_by"]) == ([1], [2], [2])
    assert "2 parts of 4 on main. Blocked by that: 3." in story.seen["stopped"]["error"]
    told = story.seen["shown"].out
    assert "3. Reviews: text, rating:int (blocked; waits for 2, which failed)" in " ".join(told.split())
    assert len(story.seen["commits before"]) == 3, "the scaffold and two parts"


async def test_no_finished_step_runs_twice(story: Story) -> None:
    first, again = story.seen["stopped"]["id"], story.seen["task"]["id"]
    starts = [agent_starts(story.stack, part(first, number)) for number in range(1, TOTAL + 1)]
    assert starts == [{"1": 1}, {"1": 1}, {}, {"1": 1}]
    repeated = [agent_starts(story.stack, part(again, number)) for number in range(1, TOTAL + 1)]
    assert repeated == [{}, {"1": 1, "2": 1}, {"1": 1}, {}]
    below = (await story.stack.get(f"/tasks/{again}/tree"))["below"]
    assert sorted(one["id"] for one in below if one["kind"] == "engineering") == [part(again, 2), part(again, 3)]
    assert [one["kind"] for one in below].count("deploy") == 1
    deploys = [one for one in (await story.stack.get(f"/tasks/{first}/tree"))["below"] if one["kind"] == "deploy"]
    assert deploys == [], "nothing is deployed before all of it is there"
    assert len(story.seen["commits"]) == 5, "the scaffold and one commit for each part"
    assert story.seen["commits"][-3:] == story.seen["commits before"]


async def test_all_parts_are_online_and_were_seen_to_be_there(story: Story) -> None:
    task = story.seen["task"]
    assert [one["state"] for one in task["parts"]] == ["completed"] * TOTAL
    assert {one["state"] for one in task["criteria"]} == {"met"}, task["criteria"]
    assert {one["id"][:2] for one in task["criteria"]} == {"1-", "2-", "3-", "4-"}
    async with httpx.AsyncClient(base_url=story.seen["url"]) as visitor:
        made = await visitor.post("/books", json={"title": "Emma", "year": 1815, "stars": 5})
        assert (made.status_code, made.json()["stars"]) == (201, 5)
        assert (await visitor.post("/reviews", json={"text": "Good", "rating": 5})).status_code == 201
        assert (await visitor.post("/clubs", json={"name": "Readers", "city": "Bath"})).status_code == 201


async def test_what_the_agent_has_decided_and_what_failed_is_remembered(story: Story) -> None:
    memory = story.seen["memory"]
    assert memory["commit"] == story.seen["task"]["result"]["commit_sha"]
    decided = memory["text"].partition("## Decisions")[2].partition("\n## ")[0]
    assert len([line for line in decided.splitlines() if line.startswith("- ")]) == TOTAL, memory["text"]
