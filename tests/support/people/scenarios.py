"""Engineering and delivery as people see them: each scenario acts from outside only and tells its story.

The scripted agent takes its directives (`[agent:…]`) from the wish. `SCENARIOS` names them all.
"""

import asyncio
from collections.abc import Awaitable, Callable

from runtime import keyring
from tests.support.outside import Outside, answer, held
from tests.support.people import scenarios_of_deploy as deploys
from tests.support.people import scenarios_of_maintenance as background
from tests.support.people import scenarios_of_parts as of_parts
from tests.support.people.story import ENTITY, SECOND_ENTITY, Story, below, new_person, stages
from tests.support.services.forges import lock_of
from tests.support.stack import Said, Stack

Scenario = Callable[[Stack], Awaitable[Story]]


async def happy(stack: Stack) -> Story:
    """A sentence becomes a service that was checked against it; the same request again is the same task."""
    story = await Story.begin(stack)
    await stack.ok("settings", "set", "acceptance", "binding", "--project", story.project)
    request = ("--request-id", f"wish-{story.name}", ENTITY)
    task_id = await story.start("delivery", "happy", *request)
    story.seen["again immediately"] = (await stack.ok("delivery", "start", "--project", story.project, *request))[
        "task_id"
    ]
    story.seen["task"] = task = await story.ended(task_id, "completed")
    story.seen["again later"] = (await stack.ok("delivery", "start", "--project", story.project, *request))["task_id"]
    story.seen["url"] = task["result"]["deployed_url"]
    story.seen["watched"] = await stack.cli("task", "watch", task_id, "--json")
    story.seen["logs"] = await stack.cli("task", "logs", below(task_id)[0])
    return story


async def repair(stack: Stack) -> Story:
    """The first commit's tests fail; the evidence makes a second turn, which repairs them."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "repair", f"{ENTITY} [agent:broken-tests]")
    story.seen["task"] = await story.ended(task_id, "completed")
    story.seen["stages"] = await stages(stack, task_id)
    return story


async def planned(stack: Stack) -> Story:
    """A person approves the plan; what is built is checked, or it is said that nobody could."""
    story = await Story.begin(stack)
    for name, value in (("plan_approval", "ask"), ("acceptance", "binding")):
        await stack.ok("settings", "set", name, value, "--project", story.project)
    task_id = await story.start("engineering", "planned", f"{ENTITY}. Sort them by size")
    story.seen["question"] = await story.answered("approve")
    story.seen["task"] = await story.ended(task_id, "completed")
    story.seen["stages"] = await stages(stack, task_id)
    return story


async def same_failure(stack: Stack) -> Story:
    """The same failure twice goes to a person, who stops it."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "same-failure", f"{ENTITY} [agent:always-broken]")
    story.seen["question"] = await story.answered("stop")
    story.seen["task"] = await story.ended(task_id, "failed")
    return story


async def empty_claim(stack: Stack) -> Story:
    """The agent says that it is done and has committed nothing."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "empty-claim", f"{ENTITY} [agent:no-commit]")
    story.seen["question"] = await story.answered("stop")
    story.seen["task"] = await story.ended(task_id, "failed")
    return story


async def question(stack: Stack) -> Story:
    """A question is refused to strangers and to nonsense, answered once, and closed after that.

    While it is open the key of the payloads is replaced: what was written with the old one must still be read.
    """
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "question", f"{ENTITY} [agent:ask]")
    asked = await stack.question(story.project)
    story.seen["question"], story.seen["waiting"] = asked, await stack.task(task_id)
    stranger = await new_person(stack)
    refusals: dict[str, Said] = {
        "of a stranger": await stranger.cli("answer", asked["id"], "mine"),
        "without words": await stack.cli("answer", asked["id"], " ", "--json"),
        "of an unknown question": await stack.cli("answer", f"{asked['id']}9", "yes", "--json"),
    }
    story.seen["rotated to"] = keyring.rotate(stack.settings.codec_key_file)
    once = ("answer", asked["id"], "Books with a title, please", "--answer-id", f"answer-{story.name}", "--json")
    story.seen["answered"] = await stack.cli(*once)
    story.seen["answered again"] = await stack.cli(*once)
    refusals["too late"] = await stack.cli("answer", asked["id"], "no, films", "--json")
    story.seen["refused"] = refusals
    story.seen["task"] = await story.ended(task_id, "completed")
    return story


async def unclear(stack: Stack) -> Story:
    """A sentence that a script does not understand; cancelled while the person is asked."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "cancel-waiting-for-an-answer", "Something beautiful, like last time")
    story.seen["question"] = await stack.question(story.project)
    story.seen["cancelled"] = await story.cancel(task_id)
    story.seen["late answer"] = await stack.cli("answer", story.seen["question"]["id"], "books: title", "--json")
    return story


async def cancel_scaffold(stack: Stack) -> Story:
    """Cancelled while the repository is being made, which something else holds up."""
    story = await Story.begin(stack)
    async with held(lock_of(stack.home, f"u1/{story.name}")) as let_go:
        task_id = await story.start("engineering", "cancel-scaffold", ENTITY)
        await stack.at_stage(task_id, "scaffolding")
        story.seen["cancelled"] = await story.cancel(task_id, meanwhile=let_go)
    return story


async def cancel_turn(stack: Stack) -> Story:
    """Cancelled in the agent's turn, whose agent has left a child behind."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "cancel-turn", f"{ENTITY} [agent:hang]")
    before = await story.working(task_id, "sleep 86400")
    story.seen["cancelled"] = await story.cancel(task_id, before=before)
    return story


async def cancel_tests(stack: Stack) -> Story:
    """Cancelled while the Tester runs the project's checks."""
    story = await Story.begin(stack)
    task_id = await story.start("engineering", "cancel-tests", f"{ENTITY} [agent:slow-tests=100]")
    before = await story.working(f"test-{task_id}", "make", "pytest", "ruff")
    story.seen["cancelled"] = await story.cancel(task_id, before=before)
    return story


async def cancel_delivery_in_engineering(stack: Stack) -> Story:
    """Cancelling the whole reaches the agent at the bottom."""
    story = await Story.begin(stack)
    task_id = await story.start("delivery", "cancel-in-engineering", f"{ENTITY} [agent:hang]")
    engineering, _, _ = below(task_id)
    before = await story.working(engineering, "sleep 86400")
    story.seen["cancelled"] = await story.cancel(task_id, before=before)
    story.seen["engineering"] = await stack.finished(engineering, 5)
    return story


async def cancel_delivery_in_deploy(stack: Stack) -> Story:
    """Cancelling the whole reaches the deploy at the bottom."""
    story = await Story.begin(stack)
    async with story.outside.place.held() as let_go:
        task_id = await story.start("delivery", "cancel-in-deploy", ENTITY)
        _, deploy, release = below(task_id)
        before = await story.working(f"play-{release}", " play-")
        story.seen["cancelled"] = await story.cancel(task_id, before=before, meanwhile=let_go)
    story.seen["deploy"], story.seen["release"] = await stack.finished(deploy, 5), release
    return story


async def side_by_side(stack: Stack) -> Story:
    """Two people deliver projects of the same name at the same time, one by the platform's own host, one over HTTP."""
    story = await Story.begin(stack)
    other = await new_person(stack)
    made = await other.cli("project", "create", story.name)
    begun = await asyncio.gather(
        story.start("delivery", "side-by-side", ENTITY),
        other.cli("delivery", "start", "--project", made.json["id"], SECOND_ENTITY),
    )
    theirs = begun[1].json["task_id"]
    story.tasks.append(("side-by-side-other", theirs))
    mine, other_task = await asyncio.gather(story.ended(begun[0], "completed"), story.ended(theirs, "completed"))
    story.seen["mine"], story.seen["theirs"] = mine, other_task
    story.seen["their forge"] = Outside(stack, story.name, owner=other.user_id)
    story.seen["answers"] = [
        await answer(task["result"]["deployed_url"], path)
        for task, path in ((mine, "/health"), (other_task, "/health"), (mine, "/offers"), (other_task, "/books"))
    ]
    story.seen["what they see of mine"] = await other.cli("task", "show", begun[0])
    return story


SCENARIOS: dict[str, Scenario] = {
    "happy": happy,
    "repair": repair,
    "planned": planned,
    "same-failure": same_failure,
    "empty-claim": empty_claim,
    "question": question,
    "unclear": unclear,
    "cancel-scaffold": cancel_scaffold,
    "cancel-turn": cancel_turn,
    "cancel-tests": cancel_tests,
    "cancel-delivery-in-engineering": cancel_delivery_in_engineering,
    "cancel-delivery-in-deploy": cancel_delivery_in_deploy,
    "side-by-side": side_by_side,
    **background.SCENARIOS,
    **of_parts.SCENARIOS,
    **deploys.SCENARIOS,
}
