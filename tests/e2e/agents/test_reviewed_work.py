"""A real agent reads what the script has built: a person sees what it objects to, and decides.

The agent, its container, the proxy and the platform are real; what the reviewer says is scripted.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from emulators.model.model import Model
from emulators.model.server import serving
from emulators.model.steps import Do, Scenario, Step
from tests.support.people.story import ENTITY, Story, stages
from tests.support.ports import any_free
from tests.support.services import engine
from tests.support.stack import Stack, running_stack

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]

KEY = "sk-ant-made-up-for-a-test"
LEAK = {"severity": "blocker", "file": "services/backend/__main__.py", "line": 1, "text": "It logs the password"}
SAID = "blocker: services/backend/__main__.py:1: It logs the password"


@dataclass(frozen=True)
class Reviewed:
    stack: Stack
    model: Model


@pytest.fixture
async def reviewed() -> AsyncIterator[Reviewed]:
    document = {"status": "done", "summary": "Read.", "document": {"summary": "A leak.", "findings": [LEAK]}}
    command = f"cat > \"$ORCHESTRATOR_OUTCOME\" <<'END'\n{json.dumps(document)}\nEND"
    model = Model(keys={KEY}, scenarios=[Scenario(match="You review a change", steps=(Step(do=Do.RUN, text=command),))])
    with TemporaryDirectory(prefix="platform-") as directory:
        async with engine.used(), serving(model) as url:
            upstream = {"ORCHESTRATOR_ANTHROPIC_BASE_URL": url, "ORCHESTRATOR_MODEL_PROXY_PORT": str(any_free())}
            home = Path(directory) / "home"
            async with running_stack(home, stop_services=False, ANTHROPIC_API_KEY=KEY, **upstream) as stack:
                yield Reviewed(stack, model)


async def test_an_objection_reaches_a_person_who_takes_the_work_as_it_is(reviewed: Reviewed) -> None:
    stack = reviewed.stack
    story = await Story.begin(stack)
    for name, value in (("review", "binding"), ("reviewer", "claude-code")):
        await stack.ok("settings", "set", name, value, "--project", story.project)
    task_id = await story.start("engineering", "reviewed", ENTITY, "--agent", "scripted")
    question = await story.answered("accept")
    assert SAID in question["text"]
    assert question["wording"]["name"] == "objections"
    task = await story.ended(task_id, "completed")
    assert SAID in task["result"]["review"]
    shown = await stack.cli("task", "show", task_id)
    assert f"Review:\n  Read by claude-code: A leak.\n  - {SAID}" in shown.out
    assert "reviewing" in await stages(stack, task_id)
    costs = await stack.ok("cost", "--by", "role")
    assert [one["key"] for one in costs["items"]] == ["reviewer"], costs
    assert {one.key for one in reviewed.model.records.requests} == {KEY}
