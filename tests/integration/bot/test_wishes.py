"""A wish is one delivery and one message, whatever happens on the way."""

import pytest

from bot.rendering.keyboards import CancelData, FailedTaskData
from contracts.base import Actor
from contracts.states import Role
from tests.integration.bot.harness import BotHarness
from tests.support.people.chat import answered

pytestmark = pytest.mark.timeout(40)

URL = "http://127.0.0.1:18999"


async def test_a_wish_is_one_delivery_and_one_message(harness: BotHarness) -> None:
    ann = await harness.member(name="Ann")
    said = ann.say("Make a list of birds: name, size:int")
    screen = await ann.sees("list of birds")
    delivery = await harness.started(ann)
    await delivery.says("developing", 10)
    await ann.sees("list-birds", "🔄 Writing code", "10%")
    await delivery.engineering_says("testing", 60)
    await ann.sees("✅ Writing code", "🔄 Tests", "38%")
    await delivery.ends("completed", result={"deployed_url": URL})
    done = await ann.sees("✅ Ready: list-birds", URL)

    assert "Accepted" in ann.chat.versions(screen.id)[0].text
    assert [message.id for message in ann.screens] == [done.id] == [screen.id]
    assert done.buttons == []
    assert harness.deliveries(ann) == [delivery.message]
    assert delivery.message.spec.description == said.text
    assert delivery.message.actor == Actor(user_id=ann.id, role=Role.MEMBER, via="telegram")


async def test_repeated_and_reordered_updates_start_one_task_each(harness: BotHarness) -> None:
    cid = await harness.member(name="Cid")
    harness.telegram.updates.hold()
    cid.say("Make a list of shops: name")
    first = harness.telegram.last_update()
    cid.say("/new Make a list of roads: name")
    for _ in range(2):
        harness.telegram.updates.repeat(first)
    harness.telegram.updates.reorder(seed=5)
    harness.telegram.updates.release()
    await harness.started(cid, 2)
    harness.telegram.updates.repeat(first)
    await harness.settled(cid)
    await harness.restart_bot()
    harness.telegram.updates.repeat(first)
    await harness.settled(cid)
    assert len(await harness.screens(cid)) == 2
    wishes = [delivery.spec.description for delivery in harness.deliveries(cid)]
    assert sorted(wishes) == ["Make a list of roads: name", "Make a list of shops: name"]
    for kind in ("shops", "roads"):
        assert len([message for message in cid.screens if kind in message.text]) == 1


async def test_a_restarted_bot_resumes_every_open_screen(harness: BotHarness) -> None:
    """Stopped before the update is handled, before a question, before the end and after it."""
    dan = await harness.member(name="Dan")
    await harness.stop_bot()
    dan.say("Make a list of ships: name")
    await harness.start_bot()
    delivery = await harness.started(dan)
    screen = await dan.sees("ships")
    await harness.stop_bot()
    await delivery.says("developing", 20)
    await delivery.asks("Which ships?", choices=["all", "none"])
    await harness.start_bot()
    await dan.sees("🔄 Writing code", "❓ Which ships?")
    await harness.stop_bot()
    await delivery.closes_question()
    await delivery.ends("completed", result={"deployed_url": URL})
    seen = len(dan.chat.versions(screen.id))
    await harness.start_bot()
    done = await dan.sees("Ready: list-ships", URL)
    assert len(dan.chat.versions(screen.id)) == seen + 1, "what was before the end is not shown again"
    await harness.restart_bot()
    await harness.settled(dan)
    assert [message.id for message in dan.screens if "ships" in message.text] == [screen.id] == [done.id]
    await harness.screens_are_final(dan, True)
    assert len(harness.deliveries(dan)) == 1


async def test_a_failed_task_offers_details_and_a_retry_to_its_owner_only(harness: BotHarness) -> None:
    fay, eve = await harness.member(name="Fay"), await harness.member(name="Eve")
    fay.say("Make a list of rocks: name")
    delivery = await harness.started(fay)
    await delivery.ends("failed", error_code="TESTS_FAILED", error="3 checks are red")
    failed = await fay.sees("list-rocks: not completed", "tests failed")
    again = failed.button("Try again").data or ""

    assert "someone else" in (await answered(eve.forge(failed, again, chat=fay.id)))["text"]
    fay.press(failed, "Details")
    detailed = await fay.sees("3 checks are red", "TESTS_FAILED")
    other = await harness.replied(fay, "/tasks")
    assert "don't recognise this button" in (await answered(fay.forge(other, again)))["text"]
    stop = CancelData(task=delivery.task_id, step="sure").pack()
    assert "already finished" in (await answered(fay.forge(detailed, stop)))["text"]
    assert len(harness.deliveries(fay)) == 1

    presses = [fay.forge(detailed, FailedTaskData(task=delivery.task_id, action="again").pack()) for _ in range(2)]
    assert "Trying again" in (await answered(presses[0]))["text"]
    await answered(presses[1])
    second = await harness.started(fay, 2)
    assert second.message.project_id == delivery.message.project_id
    await second.says("developing")
    shown = await fay.sees("🔄 Writing code")
    assert shown.id != failed.id
    await harness.screens_are_final(fay, True, False)
    assert len(harness.deliveries(fay)) == 2
    assert harness.deliveries(eve) == []


async def test_a_task_message_that_the_person_deletes_is_replaced(harness: BotHarness) -> None:
    gil = await harness.member(name="Gil")
    gil.say("Make a list of hills: name")
    delivery = await harness.started(gil)
    await delivery.says("developing")
    screen = await gil.sees("🔄 Writing code")
    harness.telegram.remove_by_person(gil.id, screen.id)
    await delivery.says("testing")
    await gil.sees("🔄 Tests", after=screen.id)
    await delivery.ends("completed", result={"deployed_url": URL})
    await gil.sees("Ready: list-hills")
    assert len(gil.screens) == 1
    await harness.screens_are_final(gil, True)
