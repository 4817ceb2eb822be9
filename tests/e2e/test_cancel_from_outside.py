"""Cancel in each phase: confirmed within ten seconds, all of the work has ended, the task says so."""

import pytest

from tests.support.patience import promised
from tests.support.people.story import Cancelled, Story

pytestmark = pytest.mark.timeout(900)

WITHIN_S = 10


def judge(cancelled: Cancelled) -> None:
    assert cancelled.task["state"] == "cancelled"
    assert 0 < cancelled.seconds < promised(WITHIN_S)
    assert cancelled.left == []


@pytest.mark.story("cancel-scaffold")
async def test_while_the_repository_is_made(story: Story) -> None:
    judge(story.seen["cancelled"])
    assert len(await story.outside.commits()) <= 1


@pytest.mark.story("cancel-turn")
async def test_in_the_agents_turn(story: Story) -> None:
    assert story.seen["cancelled"].before, "the agent's child was at work"
    judge(story.seen["cancelled"])
    assert await story.status() == "scaffolded"
    assert len(await story.outside.commits()) == 1


@pytest.mark.story("cancel-tests")
async def test_while_the_tests_run(story: Story) -> None:
    assert story.seen["cancelled"].before, "the checks were at work"
    judge(story.seen["cancelled"])
    assert len(await story.outside.commits()) == 1, "nothing was published"


@pytest.mark.story("unclear")
async def test_while_a_person_is_asked(story: Story) -> None:
    judge(story.seen["cancelled"])
    question = await story.stack.get(f"/questions/{story.seen['question']['id']}")
    assert question["state"] == "withdrawn"


@pytest.mark.story("missing-secret")
async def test_while_a_secret_is_asked_for_the_release_serves_on(story: Story) -> None:
    judge(story.seen["cancelled"])
    health, status, current = story.seen["after cancel"]
    assert health["release"] == current["release_id"]
    assert status == "active"


@pytest.mark.story("cancel-playbook")
async def test_in_the_deploy_all_of_it_ends_and_what_waited_has_its_turn(story: Story) -> None:
    assert story.seen["cancelled"].before, "the deploy was at work"
    judge(story.seen["cancelled"])
    health, status, current = story.seen["after cancel"]
    behind = story.seen["behind"]
    assert behind["state"] == "completed", "what waited behind it belongs to another task, and gets its turn"
    assert health["release"] == current["release_id"] == behind["result"]["release_id"]
    assert status == "active"
    assert story.seen["release"] not in await story.outside.releases()


@pytest.mark.story("cancel-delivery-in-engineering")
async def test_of_a_delivery_reaches_the_agent(story: Story) -> None:
    assert story.seen["cancelled"].before, "the agent's child was at work"
    judge(story.seen["cancelled"])
    assert story.seen["engineering"]["state"] == "cancelled"


@pytest.mark.story("cancel-delivery-in-deploy")
async def test_of_a_delivery_reaches_the_deploy(story: Story) -> None:
    assert story.seen["cancelled"].before, "the deploy was at work"
    judge(story.seen["cancelled"])
    assert story.seen["deploy"]["state"] == "cancelled"
    assert await story.outside.releases() == []
    assert len(await story.outside.commits()) == 2, "what engineering had published stays"


@pytest.mark.story("approval")
async def test_of_a_delivery_that_waits_behind_a_deploy_leaves_the_queue(story: Story) -> None:
    judge(story.seen["cancelled"])
    assert story.seen["behind"] in ([], ["cancelled"]), "its deploy does not run later"
    before, after = story.seen["current before and after"]
    assert after == before
