"""Another agent takes over where the first one has met a limit: on the same workspace, in a session of its own."""

import pytest

from tests.e2e.agents.limits.conftest import FIRST, HANDED_OVER, Limited, commits, fault, run
from tests.support.agents.real_platform import KEYS
from tests.support.people.story import Story, milestones

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1800)]

ANTHROPIC, OPENAI = KEYS["ANTHROPIC_API_KEY"], KEYS["OPENAI_API_KEY"]
BEGUN, FINISHED = "docs/begun.md", "docs/finished.md"


async def test_codex_finishes_what_claude_code_has_begun_when_its_window_is_used_up(limited: Limited) -> None:
    real, stack = limited.real, limited.real.stack
    story = await Story.begin(stack)
    await stack.ok("settings", "set", "fallback_agents", '["codex"]', "--project", story.project)
    before = real.model.records.seen
    begins = [run(f"mkdir -p docs && echo begun > {BEGUN}"), fault(429, reset_s=45.0)]
    finishes = [
        run(f"test -s {BEGUN} && echo finished > {FINISHED}"),
        *commits("Both pages"),
    ]
    with real.playing(FIRST, *begins, key=ANTHROPIC), real.playing(HANDED_OVER, *finishes, key=OPENAI):
        task_id = await story.start("engineering", "failover", "Two pages of documentation")
        task = await stack.finished(task_id, 900)
    assert task["state"] == "completed", task
    told = await milestones(stack, task_id)
    assert any(one.startswith("codex takes over from claude-code on the same workspace") for one in told), told
    work = [one for one in real.work if one.number > before]
    assert [one.key for one in work] == sorted(one.key for one in work), "first the one, then the other"
    of_claude, of_codex = ([one for one in work if one.key == key] for key in (ANTHROPIC, OPENAI))
    assert [one.status for one in of_claude] == [200, 429]
    assert {one.status for one in of_codex} == {200}
    assert {BEGUN, FINISHED} <= await story.outside.files(), "what was not committed yet is there, too"
    spent = await stack.ok("cost", "--by", "agent", "--project", story.project)
    assert {row["key"] for row in spent["items"]} == {"claude-code", "codex"}
