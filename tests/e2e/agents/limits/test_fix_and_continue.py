"""A task of a real agent has failed; somebody changes something, and it goes on: no finished step runs twice."""

from collections import Counter

import pytest

from contracts import ids
from tests.e2e.agents.limits.conftest import FIRST, Limited, commits, gives_up, run
from tests.support.agents.real_platform import KEYS
from tests.support.people.scenarios_of_deploy import SECRET
from tests.support.people.story import Story, below
from tests.support.stack import Stack

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1800)]

PAGE = run("mkdir -p docs && echo '# A page' > docs/page.md")
BUILT = [PAGE, *commits("A page")]
PLANNER = "You plan software and build nothing"
WISH = "A page of documentation"
NEEDS = f"""cat >> env.contract.yaml <<'END'
  - name: {SECRET}
    source: user_secret
    consumers: ["backend"]
    required: true
    description: "Of the payment provider"
END"""


async def steps(stack: Stack, task_id: str) -> Counter[str]:
    """The steps of an engineering task that Temporal has recorded: how often each was begun."""
    found: Counter[str] = Counter()
    handle = (await stack.client()).get_workflow_handle(ids.engineering_workflow_id(task_id))
    async for event in handle.fetch_history_events():
        name = event.activity_task_scheduled_event_attributes.activity_type.name
        if name.startswith("engineering-graph.") or name == "repository.scaffold":
            found[name.rpartition(".")[2]] += 1
    return found


async def stopped(limited: Limited, story: Story, kind: str = "engineering") -> str:
    """Work that its agent has given up, and that a person has stopped then; returns the task."""
    task_id = await story.start(kind, "given-up", WISH)
    question = await story.stack.question(story.project, 600)
    assert "could not finish" in question["text"], question
    await story.stack.ok("answer", question["id"], "stop")
    await story.ended(task_id, "failed")
    return task_id


async def retried(story: Story, task_id: str, *changes: str) -> str:
    """`task retry` to its end, which must be a good one; returns the new task."""
    again = str((await story.stack.ok("task", "retry", task_id, *changes))["task_id"])
    await story.ended(again, "completed")
    return again


async def test_a_plain_retry_asks_no_agent_for_what_is_committed_and_plans_no_second_time(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    await stack.ok("settings", "set", "acceptance", "binding", "--project", story.project)
    before = real.model.records.seen
    with real.playing(FIRST, PAGE, commits("A page")[0], gives_up("The network is away")):
        first = await stopped(limited, story)
    sent = real.model.records.seen
    assert len(real.asked(PLANNER, after=before)) == 1
    second = await retried(story, first)
    assert real.asked(FIRST, after=sent) == [], "nobody is asked to build again"
    assert real.asked(PLANNER, after=sent) == [], "the wish is the same, and so is the plan"
    assert await steps(stack, first) == {"scaffold": 1, "specify": 1, "develop": 1}
    assert await steps(stack, second) == {"specify": 1, "verify": 1, "accept": 1, "publish": 1}
    assert "docs/page.md" in await story.outside.files()


async def test_another_agent_does_what_the_first_one_could_not(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    with real.playing(FIRST, gives_up("I cannot do this")):
        first = await stopped(limited, story)
    before = real.model.records.seen
    with real.playing(FIRST, *BUILT, key=KEYS["OPENAI_API_KEY"]):
        second = await retried(story, first, "--agent", "codex")
    assert {one.key for one in real.work if one.number > before} == {KEYS["OPENAI_API_KEY"]}
    assert await steps(stack, first) == {"scaffold": 1, "develop": 1}
    assert await steps(stack, second) == {"develop": 1, "verify": 1, "publish": 1}
    assert "docs/page.md" in await story.outside.files()


async def test_what_a_person_advises_reaches_the_agent(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    with real.playing(FIRST, gives_up("Which page?")):
        first = await stopped(limited, story)
    with real.playing("Call it docs/other.md", run("mkdir -p docs && echo x > docs/other.md"), *commits("Another")):
        second = await retried(story, first, "--advice", "Call it docs/other.md")
    assert await steps(stack, second) == {"develop": 1, "verify": 1, "publish": 1}
    assert "docs/other.md" in await story.outside.files()


async def test_with_the_secret_that_was_missing_only_the_deploy_is_done(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    with real.playing(FIRST, run(NEEDS), *commits("It needs a secret")):
        first = await story.start("delivery", "needs-a-secret", WISH)
        question = await stack.question(story.project, 600)
    assert question["secret_names"] == [SECRET], question
    await stack.ok("answer", question["id"], "stop")
    await story.ended(first, "failed")
    sent, commits_before = real.model.records.seen, await story.outside.commits()
    await stack.ok("secret", "set", story.project, SECRET, stdin=f"s3cret-{story.name}-value")
    second = await retried(story, first)
    assert real.model.records.seen == sent, "no agent was asked"
    kinds = [task["kind"] for task in (await stack.get(f"/tasks/{second}/tree"))["below"]]
    assert kinds == ["deploy"]
    assert await story.outside.commits() == commits_before
    assert await steps(stack, below(first)[0]) == {"scaffold": 1, "develop": 1, "verify": 1, "publish": 1}


async def test_who_stops_keeps_the_branch_and_publishes_nothing(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    with real.playing(FIRST, PAGE, commits("A page")[0], gives_up("Half of it is there")):
        first = await stopped(limited, story)
    assert "docs/page.md" not in await story.outside.files()
    assert "docs/page.md" in await story.outside.files(ids.work_branch(first))
    assert await limited.agent_containers() == []
    sent = real.model.records.seen
    again = await stack.cli("task", "show", first)
    assert "failed" in again.out
    assert real.model.records.seen == sent
