"""A task that was stopped goes on where it ended: judged by the forge, the agent's own log and the URL."""

import pytest

from tests.support.outside import agent_starts
from tests.support.people.story import Story, below

pytestmark = [pytest.mark.timeout(900), pytest.mark.deep, pytest.mark.story("goes-on")]


async def test_two_retries_are_one_task_of_its_own(story: Story) -> None:
    first, second = story.seen["retried"]
    assert first == second == story.seen["task"]["id"]
    assert first != story.seen["stopped"]["id"]


async def test_neither_agent_nor_tests_run_again(story: Story) -> None:
    stopped, again = story.seen["stopped"]["id"], story.seen["task"]["id"]
    assert agent_starts(story.stack, below(stopped)[0]) == {"1": 1}
    assert agent_starts(story.stack, below(again)[0]) == {}
    kinds = [task["kind"] for task in (await story.stack.get(f"/tasks/{again}/tree"))["below"]]
    assert kinds == ["deploy"]
    assert await story.outside.commits() == story.seen["commits"]


async def test_what_was_on_main_is_online(story: Story) -> None:
    result = story.seen["task"]["result"]
    assert result["commit_sha"] == story.seen["commits"][0]
    assert (await story.health())["release"] == result["release_id"]
