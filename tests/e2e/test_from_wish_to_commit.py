"""Engineering, judged from outside: the forge, the agent's own log, what people are told."""

import json

import pytest

from tests.support.outside import agent_starts, processes_of
from tests.support.people.story import Story, below, milestones, stages
from tests.support.services import engine
from tests.support.services.container_service import no_engine
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)


@pytest.mark.story("happy")
async def test_a_repeated_request_is_the_same_task(story: Story) -> None:
    assert story.seen["again immediately"] == story.seen["again later"] == story.seen["task"]["id"]
    tasks = (await story.stack.get("/tasks", project_id=story.project))["items"]
    assert sorted(task["kind"] for task in tasks) == ["delivery", "deploy", "engineering"]


@pytest.mark.story("happy")
async def test_the_verified_commit_is_on_the_forge_and_the_agent_ran_once(story: Story) -> None:
    commits = await story.outside.commits()
    assert len(commits) == 2, "the scaffold and one commit of the agent"
    assert commits[0] == story.seen["task"]["result"]["commit_sha"]
    assert agent_starts(story.stack, below(story.seen["task"]["id"])[0]) == {"1": 1}


@pytest.mark.story("happy")
async def test_the_url_answers_with_exactly_this_commit(story: Story) -> None:
    result = story.seen["task"]["result"]
    assert (await story.health())["release"] == result["release_id"]
    assert await story.outside.releases() == [result["release_id"]]
    assert (await story.outside.current())["commit"] == result["commit_sha"]


@pytest.mark.story("happy")
async def test_what_was_asked_for_was_seen_to_be_there_and_is_promised_from_now_on(story: Story) -> None:
    criteria = story.seen["task"]["criteria"]
    assert [one["state"] for one in criteria] == ["met"]
    assert all(one["proof"]["reference"].startswith("artifact://") for one in criteria)
    kept = await story.stack.ok("project", "checks", "list", story.project)
    assert {one["words"] for one in kept["items"]} == {one["words"] for one in criteria}
    assert "accepting" in await stages(story.stack, below(story.seen["task"]["id"])[0])


@pytest.mark.deep
@pytest.mark.story("planned")
async def test_a_plan_is_approved_before_anything_is_built(story: Story) -> None:
    asked = story.seen["question"]
    assert asked["kind"] == "approval"
    assert "Sort them by size" in asked["text"]
    steps = [step for step in dict.fromkeys(story.seen["stages"]) if step not in {"started", "waiting"}]
    assert steps[:3] == ["scaffolding", "planning", "developing"]
    states = {one["words"]: one["state"] for one in story.seen["task"]["criteria"]}
    assert states["Sort them by size"] == "not_met", "the agent says itself that it left it out"


@pytest.mark.story("happy")
async def test_watching_shows_the_same_milestones_in_the_same_order_as_the_api(story: Story) -> None:
    watched = story.seen["watched"]
    assert watched.code == 0
    events = [one["event"] for line in watched.out.splitlines() if "event" in (one := json.loads(line))]
    for task_id in (story.seen["task"]["id"], *below(story.seen["task"]["id"])[:2]):
        shown = [e["event"]["message"] for e in events if e["task_id"] == task_id and e["grain"] == "milestone"]
        assert shown == await milestones(story.stack, task_id), task_id


@pytest.mark.story("happy")
async def test_the_logs_tell_what_the_agent_and_the_tests_said(story: Story) -> None:
    logs = story.seen["logs"]
    assert logs.code == 0
    assert "I am a script, not a model" in logs.out
    assert "passed in" in logs.out


@pytest.mark.story("happy")
@pytest.mark.containers
@pytest.mark.skipif(no_engine() is not None, reason="NOT TESTED: containers need a Docker Engine")
async def test_with_an_engine_turn_tests_and_service_are_containers(story: Story) -> None:
    stack = story.stack
    engineering, _, release = below(story.seen["task"]["id"])
    status = await stack.cli("status")
    assert "containers (the Docker Engine answers" in status.out
    started = [name for name in stack.container_starts() if engineering in name]
    assert sum(name.startswith("turn-") for name in started) == 1
    assert sum(name.startswith("test-") for name in started) == 1
    assert len(await engine.there(stack.server, f"svc-{story.name}-backend-{release}")) == 1
    assert [line for line in await processes_of(stack, f"svc-{story.name}") if not line.startswith("[svc-")] == []


@pytest.mark.story("repair")
async def test_red_checks_go_back_to_the_developer_with_their_evidence(story: Story) -> None:
    task = story.seen["task"]
    assert (story.seen["stages"].count("developing"), story.seen["stages"].count("testing")) == (2, 2)
    assert agent_starts(story.stack, task["id"]) == {"1": 1, "2": 1}
    commits = await story.outside.commits()
    assert len(commits) == 3, "the scaffold, the broken commit and its repair, in one series"
    assert commits[0] == task["result"]["commit_sha"]


@pytest.mark.deep
@pytest.mark.story("same-failure")
async def test_the_same_failure_twice_goes_to_a_person_and_publishes_nothing(story: Story) -> None:
    text = story.seen["question"]["text"]
    assert "the same failure came twice" in text
    assert "test_the_agent_keeps_its_promise" in text
    assert agent_starts(story.stack, story.seen["task"]["id"]) == {"1": 1, "2": 1}
    assert story.seen["task"]["error_code"] == "STOPPED_BY_PERSON"
    assert len(await story.outside.commits()) == 1, "only the scaffold is on main"


@pytest.mark.deep
@pytest.mark.story("empty-claim")
async def test_a_claim_without_a_commit_is_not_believed(story: Story) -> None:
    assert "committed nothing" in story.seen["question"]["text"]
    assert len(await story.outside.commits()) == 1


@pytest.mark.deep
@pytest.mark.story("side-by-side")
async def test_projects_of_one_name_and_two_owners_live_side_by_side(story: Story) -> None:
    mine, theirs = story.seen["mine"]["result"], story.seen["theirs"]["result"]
    my_health, their_health, my_offers, their_books = story.seen["answers"]
    assert mine["deployed_url"] != theirs["deployed_url"]
    assert (my_health["release"], their_health["release"]) == (mine["release_id"], theirs["release_id"])
    assert my_offers == their_books == {"error": 404}, "each has only what its own wish says"
    assert (await story.outside.commits())[0] == mine["commit_sha"]
    assert (await story.seen["their forge"].commits())[0] == theirs["commit_sha"]


@pytest.mark.deep
@pytest.mark.story("side-by-side")
async def test_another_owners_task_cannot_be_seen(story: Story) -> None:
    refused = story.seen["what they see of mine"]
    assert (refused.code, refused.json["error"]["code"]) == (3, "NOT_FOUND")


async def test_the_installed_code_replays_everything_that_ran_here(stack: Stack) -> None:
    said = await stack.cli("replay", "--query", "ExecutionStatus != 'Running'", "--json", timeout=100)
    assert said.code == 0, said.out[-3000:] + said.err
    assert said.out.count("workflow_id") > 0
