"""A secret that only a person has: asked for, waited for, used, and nowhere to be read."""

import hashlib
import re
import stat

import pytest

from tests.support.outside import files_with
from tests.support.people.scenarios_of_deploy import SECRET
from tests.support.people.story import Story

pytestmark = [pytest.mark.timeout(900), pytest.mark.story("missing-secret")]

GENERATED = ("ADMIN_TOKEN",)


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]


async def test_the_deploy_asks_and_waits(story: Story) -> None:
    assert story.seen["question"]["kind"] == "secret"
    assert story.seen["question"]["secret_names"] == [SECRET]
    assert story.seen["waiting"]["state"] == "waiting"
    assert story.seen["task"]["state"] == "completed"


async def test_a_secret_is_not_taken_as_text(story: Story) -> None:
    refused = story.seen["as text"]
    assert (refused.code, refused.json["error"]["code"]) == (2, "QUESTION_WRONG_CHOICE")


async def test_the_service_has_what_was_set_and_then_what_was_answered(story: Story) -> None:
    first, second = story.seen["values"]
    assert story.seen["status"] == {SECRET: True, "sha256": digest(first)}
    assert story.seen["second status"] == {SECRET: True, "sha256": digest(second)}


async def test_generated_values_never_change(story: Story) -> None:
    before, after = story.seen["environment"], story.seen["second environment"]
    assert all(before[name] and before[name] == after[name] for name in GENERATED)


@pytest.mark.parametrize("which", [0, 1])
async def test_the_value_is_only_in_the_private_environment_of_its_release(story: Story, which: int) -> None:
    await assert_private(story, story.seen["values"][which])


async def test_generated_values_are_only_in_private_environments(story: Story) -> None:
    for name in GENERATED:
        await assert_private(story, story.seen["environment"][name].strip('"'))


async def assert_private(story: Story, value: str) -> None:
    found = await files_with(story.stack, value)
    place = "server/srv" if story.stack.server else "home/services"
    assert found, "the service does have it"
    strays = [one for one in found if not re.match(rf"{place}/{story.name}/releases/[^/]+/env/", one.path)]
    assert strays == []
    assert {stat.S_IMODE(one.mode) for one in found} == {0o600}
