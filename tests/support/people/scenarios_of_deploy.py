"""Releases as people see them: broken ones, earlier ones, two together, missing secrets."""

import asyncio
from collections.abc import Awaitable, Callable

from contracts import ids
from tests.support.outside import answer
from tests.support.people.story import ENTITY, SECOND_ENTITY, Story, below, milestones
from tests.support.stack import Stack

SECRET = "PAYMENT_KEY"


async def releases(stack: Stack) -> Story:
    """The life of a project that is live: a broken release, a good one, back to the first, stop, restart, remove."""
    story = await Story.begin(stack)
    seen = story.seen
    first = await story.ended(await story.start("delivery", "first-of-several", ENTITY), "completed")
    seen["first"], seen["url"] = first["result"], first["result"]["deployed_url"]
    await _a_broken_iteration(story)
    await _an_iteration_that_a_person_stops(story)
    seen["second"] = await story.built("iteration", SECOND_ENTITY)
    seen["second live"] = (await story.deployed("iteration"))["result"]
    await _back_to_the_first(story)
    await _stop_restart_remove(story)
    return story


async def _a_broken_iteration(story: Story) -> None:
    task_id = await story.start("delivery", "broken-health", f"{ENTITY} [agent:broken-health]")
    _, deploy, story.seen["broken release"] = below(task_id)
    story.seen["broken"] = await story.ended(task_id, "failed")
    story.seen["broken deploy"] = await story.stack.task(deploy)
    story.seen["broken logs"] = await story.stack.cli("task", "logs", deploy)
    story.seen["after broken"] = (await story.health(), await story.status(), await story.outside.current())


async def _an_iteration_that_a_person_stops(story: Story) -> None:
    task_id = await story.start("engineering", "agent-fails", f"{ENTITY} [agent:fail]")
    await story.answered("stop")
    story.seen["stopped by a person"] = await story.ended(task_id, "failed")
    story.seen["after stopped by a person"] = (await story.health(), await story.status())


async def _back_to_the_first(story: Story) -> None:
    story.seen["live before rollback"] = (await story.health(), await story.outside.current())
    rolled_back = await story.deployed("rollback", action="rollback")
    story.seen["rolled back"] = rolled_back["result"]
    story.seen["after rollback"] = (await story.health(), await story.status(), await story.outside.current())


async def _stop_restart_remove(story: Story) -> None:
    await story.deployed("stop", action="stop")
    story.seen["after stop"] = await story.health()
    await story.deployed("restart", action="restart")
    story.seen["after restart"] = await story.health()
    await story.deployed("remove", "--yes", action="remove")
    story.seen["after remove"] = (await story.health(), await story.outside.releases())
    story.seen["rollback of nothing"] = await story.stack.cli("deploy", "rollback", story.project, "--watch", "--json")


async def broken_first_release(stack: Stack) -> Story:
    """A first release that crashes at its start: nothing serves, and the task says why."""
    story = await Story.begin(stack)
    task_id = await story.start("delivery", "crash-on-start", f"{ENTITY} [agent:crash-on-start]")
    _, deploy, story.seen["release"] = below(task_id)
    story.seen["task"] = await story.ended(task_id, "failed")
    story.seen["deploy"] = await stack.task(deploy)
    story.seen["logs"] = await stack.cli("task", "logs", deploy)
    story.seen["status"] = await story.status()
    return story


async def watched(stack: Stack) -> Story:
    """A delivery completes after its watch. A release that ends while it is watched is taken back, and so is one whose
    deploy is cancelled then; at the end a release is left for the one before it."""
    story = await Story.begin(stack)
    seen = story.seen
    first = await story.ended(await story.start("delivery", "watched", ENTITY), "completed")
    seen["first"], seen["url"] = first["result"], first["result"]["deployed_url"]
    seen["told"] = await milestones(stack, below(story.tasks[0][1])[1])
    seen["second"] = await story.built("before-ends-while-watched", f"{ENTITY} [agent:end-when-asked]")
    await stack.ok("settings", "set", "watch_s", "300", "--project", story.project)
    task_id = await story.deploy("ends-while-watched")
    await stack.at_stage(task_id, "watching")
    seen["asked to end"] = await answer(seen["url"], "/health?end")
    seen["ended"] = await story.ended(task_id, "failed")
    seen["after its end"] = (await story.health(), await story.status(), await story.outside.current())
    task_id = await story.deploy("cancel-while-watched")
    await stack.at_stage(task_id, "watching")
    seen["cancelled"] = await story.cancel(task_id)
    seen["after cancel"] = (await story.health(), await story.status(), await story.outside.current())
    await stack.ok("settings", "set", "watch_s", "1", "--project", story.project)
    seen["second live"] = (await story.deployed("watched-again"))["result"]
    await story.deployed("watched-rollback", action="rollback")
    seen["after rollback"] = await story.health()
    return story


async def two_at_once(stack: Stack) -> Story:
    """Two equal starts at one moment, and a newer commit while they run."""
    story = await Story.begin(stack)
    older = await story.built("before-two-at-once", ENTITY)
    newer = await story.built("second-commit", SECOND_ENTITY)
    start = ("deploy", "start", story.project, "--commit")
    equal = await asyncio.gather(*(stack.ok(*start, older) for _ in range(2)))
    later = await stack.ok(*start, newer)
    story.seen |= {"older": older, "newer": newer, "equal": equal, "later": later}
    story.tasks.append(("two-at-once-queued-seen", equal[0]["task_id"]))
    done = [await story.ended(one["task_id"], "completed") for one in (*equal, later)]
    story.seen["done"], story.seen["url"] = done, done[-1]["result"]["deployed_url"]
    story.seen["health"] = await story.health()
    return story


async def approval(stack: Stack) -> Story:
    """A deploy waits for an approval; a delivery that comes meanwhile waits behind it and then has its turn."""
    story = await Story.begin(stack)
    commit = await story.built("before-approval", ENTITY)
    deploy = await story.deploy("approval", "--approve")
    asked = await stack.question(story.project)
    story.seen["commit"], story.seen["question"] = commit, asked
    delivery = await story.start("delivery", "joins-a-deploy", SECOND_ENTITY)
    await stack.at_stage(delivery, "deploy")
    story.seen["wrong"] = await stack.cli("answer", asked["id"], "perhaps", "--json")
    story.seen["not yet live"] = await story.outside.releases()
    await stack.ok("answer", asked["id"], "approve")
    story.seen["approved"] = await story.ended(deploy, "completed")
    story.seen["delivered"] = await story.ended(delivery, "completed")
    story.seen["told"] = await milestones(stack, delivery)
    await _a_plan_that_is_declined(story)
    return story


async def _a_plan_that_is_declined(story: Story) -> None:
    """Stopped at the approval, after the allocation; a delivery that waited behind it is cancelled before that."""
    before = await story.outside.current()
    task_id = await story.deploy("declined", "--approve")
    asked = await story.stack.question(story.project, other_than=story.seen["question"]["id"])
    delivery = await story.start("delivery", "cancel-behind-a-deploy", SECOND_ENTITY)
    await story.stack.at_stage(delivery, "deploy")
    story.seen["cancelled"] = await story.cancel(delivery)
    await story.stack.ok("answer", asked["id"], "stop")
    story.seen["declined"] = await story.ended(task_id, "failed")
    story.seen["current before and after"] = (before, await story.outside.current())
    tasks = (await story.stack.get("/tasks", project_id=story.project, kind="deploy"))["items"]
    story.seen["behind"] = [task["state"] for task in tasks if task["id"] == below(delivery)[1]]


async def missing_secret(stack: Stack) -> Story:
    """A secret is asked for and given in both ways; the value never leaves its place."""
    story = await Story.begin(stack)
    task_id = await story.start("delivery", "missing-secret", f"{ENTITY} [agent:needs-secret={SECRET}]")
    story.seen["question"] = asked = await stack.question(story.project)
    story.seen["waiting"] = await stack.task(below(task_id)[1])
    story.seen["as text"] = await stack.cli("answer", asked["id"], "it is 1234", "--json")
    value = f"s3cret-{story.name}-value"
    await stack.ok("secret", "set", story.project, SECRET, stdin=value)
    story.seen["task"] = task = await story.ended(task_id, "completed")
    story.seen["url"] = task["result"]["deployed_url"]
    story.seen["values"] = [value]
    story.seen["status"] = await answer(story.seen["url"], "/secret-status")
    story.seen["environment"] = await story.outside.environment()
    await _given_with_the_answer(story)
    await _cancelled_while_it_is_asked(story)
    return story


async def goes_on(stack: Stack) -> Story:
    """Stopped where a secret was missing; with the secret the same work goes on, twice asked for and once done."""
    story = await Story.begin(stack)
    task_id = await story.start("delivery", "stopped-at-a-secret", f"{ENTITY} [agent:needs-secret={SECRET}]")
    await story.answered("stop")
    story.seen["stopped"] = await story.ended(task_id, "failed")
    story.seen["commits"] = await story.outside.commits()
    await stack.ok("secret", "set", story.project, SECRET, stdin=f"s3cret-{story.name}-value")
    retried = [(await stack.ok("task", "retry", task_id))["task_id"] for _ in range(2)]
    story.seen["retried"] = retried
    story.tasks.append(("goes-on", retried[0]))
    story.seen["task"] = task = await story.ended(retried[0], "completed")
    story.seen["url"] = task["result"]["deployed_url"]
    return story


async def _given_with_the_answer(story: Story) -> None:
    """The next deploy asks again for a deleted secret; everything generated stays as it was."""
    await story.stack.cli("secret", "delete", story.project, SECRET)
    task_id = await story.deploy("secret-with-the-answer")
    asked = await story.stack.question(story.project, other_than=story.seen["question"]["id"])
    value = f"an0ther-{story.name}-value"
    await story.stack.ok("answer", asked["id"], "--secret", SECRET, stdin=value)
    await story.ended(task_id, "completed")
    story.seen["values"].append(value)
    story.seen["second status"] = await answer(story.seen["url"], "/secret-status")
    story.seen["second environment"] = await story.outside.environment()


async def _cancelled_while_it_is_asked(story: Story) -> None:
    await story.stack.cli("secret", "delete", story.project, SECRET)
    task_id = await story.deploy("cancel-waiting-for-a-secret")
    await story.stack.question(story.project)
    story.seen["cancelled"] = await story.cancel(task_id)
    story.seen["after cancel"] = (await story.health(), await story.status(), await story.outside.current())


async def cancel_playbook(stack: Stack) -> Story:
    """Cancelled while Ansible puts a second release there, with another deploy waiting behind it."""
    story = await Story.begin(stack)
    first = await story.built("before-cancel-playbook", ENTITY)
    live = await story.deployed("live-before-cancel")
    story.seen["url"], story.seen["live"] = live["result"]["deployed_url"], live["result"]
    second = await story.built("second-before-cancel", SECOND_ENTITY)
    async with story.outside.place.held() as let_go:
        task_id = await story.deploy("withdrawn-playbook", "--commit", second)
        release = ids.release_id_for_task(task_id)
        before = await story.working(f"play-{release}", " play-")
        behind = await stack.ok("deploy", "start", story.project, "--commit", first)
        story.seen["cancelled"] = await story.cancel(task_id, before=before, meanwhile=let_go)
    story.seen["behind"] = await stack.finished(behind["task_id"])
    story.seen["release"] = release
    story.seen["after cancel"] = (await story.health(), await story.status(), await story.outside.current())
    return story


SCENARIOS: dict[str, Callable[[Stack], Awaitable[Story]]] = {
    "broken-first-release": broken_first_release,
    "cancel-playbook": cancel_playbook,
    "two-at-once": two_at_once,
    "approval": approval,
    "missing-secret": missing_secret,
    "goes-on": goes_on,
    "watched": watched,
    "releases": releases,
}
