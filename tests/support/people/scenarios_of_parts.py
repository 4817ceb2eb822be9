"""A large work in parts as people see it: the plan, a part that is stopped and what that blocks, and a retry."""

from contracts import ids
from tests.support.people.story import Story
from tests.support.stack import Stack

PARTS = (
    "1. A library with books: title, year:int. "
    "2. Add stars:int to books [agent:ask]. "
    "3. Reviews: text, rating:int (after 2). "
    "4. Clubs: name, city"
)
TOTAL = 4


async def parts(stack: Stack) -> Story:
    """The second of four parts is stopped; a retry does what is left, and only then it goes online."""
    story = await Story.begin(stack)
    await stack.ok("settings", "set", "acceptance", "binding", "--project", story.project)
    first = await story.start("delivery", "in-parts-blocked", PARTS)
    story.seen["question"] = await story.answered("stop")
    story.seen["stopped"] = await story.ended(first, "failed")
    story.seen["commits before"] = await story.outside.commits()
    story.seen["shown"] = await stack.cli("task", "show", first)
    again = (await stack.ok("task", "retry", first))["task_id"]
    story.tasks.append(("in-parts-retried", again))
    await story.answered("Yes", other_than=story.seen["question"]["id"])
    story.seen["task"] = task = await story.ended(again, "completed")
    story.seen["url"] = task["result"]["deployed_url"]
    story.seen["commits"] = await story.outside.commits()
    story.seen["memory"] = await stack.ok("project", "memory", "show", story.project)
    return story


def part(delivery: str, number: int) -> str:
    """The task of a part of a delivery."""
    return ids.part_task_id(delivery, number, TOTAL)


SCENARIOS = {"parts": parts}
