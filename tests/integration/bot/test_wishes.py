"""A wish is one delivery and one message, whatever happens on the way."""

import pytest

from bot.keyboards import AfterData, CancelData
from contracts.base import Actor
from contracts.states import Role
from tests.integration.bot.village import Village
from tests.support.chat import answered

pytestmark = pytest.mark.timeout(40)

URL = "http://127.0.0.1:18999"


async def test_a_wish_is_one_delivery_and_one_message_that_is_edited_to_its_end(village: Village) -> None:
    ann = await village.member(name="Ann")
    said = ann.say("Make a list of birds: name, size:int")
    screen = await ann.sees("list of birds")
    work = await village.begun(ann)
    await work.says("developing", 10)
    await ann.sees("list-birds", "🔄 Writing code", "10 %")
    await work.engineering_says("testing", 60)
    await ann.sees("✅ Writing code", "🔄 Checks", "38 %")
    await work.ends("completed", result={"deployed_url": URL})
    done = await ann.sees("✅ Ready: list-birds", URL)

    assert "Accepted" in ann.chat.versions(screen.id)[0].text
    assert [message.id for message in ann.screens] == [done.id] == [screen.id]
    assert done.buttons == []
    assert village.deliveries(ann) == [work.message]
    assert work.message.spec.description == said.text
    assert work.message.actor == Actor(user_id=ann.id, role=Role.MEMBER, via="telegram")


async def test_repeated_and_reordered_updates_start_one_task_each(village: Village) -> None:
    cid = await village.member(name="Cid")
    village.telegram.updates.hold()
    cid.say("Make a list of shops: name")
    first = village.telegram.last_update()
    cid.say("/new Make a list of roads: name")
    for _ in range(2):
        village.telegram.updates.repeat(first)
    village.telegram.updates.reorder(seed=5)
    village.telegram.updates.release()
    await village.begun(cid, 2)
    village.telegram.updates.repeat(first)
    await village.settled(cid)
    await village.restart_bot()
    village.telegram.updates.repeat(first)
    await village.settled(cid)
    assert len(await village.screens(cid)) == 2
    wishes = [delivery.spec.description for delivery in village.deliveries(cid)]
    assert sorted(wishes) == ["Make a list of roads: name", "Make a list of shops: name"]
    for kind in ("shops", "roads"):
        assert len([message for message in cid.screens if kind in message.text]) == 1


async def test_a_bot_that_is_started_again_takes_up_every_open_screen(village: Village) -> None:
    """Stopped while the update waits, while the work goes on to a question, before the end and after it."""
    dan = await village.member(name="Dan")
    await village.stop_bot()
    dan.say("Make a list of ships: name")
    await village.start_bot()
    work = await village.begun(dan)
    screen = await dan.sees("ships")
    await village.stop_bot()
    await work.says("developing", 20)
    await work.asks("Which ships?", choices=["all", "none"])
    await village.start_bot()
    await dan.sees("🔄 Writing code", "❓ Which ships?")
    await village.stop_bot()
    await work.goes_on()
    await work.ends("completed", result={"deployed_url": URL})
    await village.start_bot()
    done = await dan.sees("Ready: list-ships", URL)
    await village.restart_bot()
    await village.settled(dan)
    assert [message.id for message in dan.screens if "ships" in message.text] == [screen.id] == [done.id]
    await village.shows_to_the_end(dan, True)
    assert len(village.deliveries(dan)) == 1


async def test_failed_work_offers_details_and_one_more_attempt_to_its_owner_only(village: Village) -> None:
    fay, eve = await village.member(name="Fay"), await village.member(name="Eve")
    fay.say("Make a list of rocks: name")
    work = await village.begun(fay)
    await work.ends("failed", error_code="TESTS_FAILED", error="3 checks are red")
    failed = await fay.sees("list-rocks: not done", "checks did not become green")
    again = failed.button("Try again").data or ""

    assert "somebody else" in (await answered(eve.forge(failed, again, chat=fay.id)))["text"]
    fay.press(failed, "Details")
    detailed = await fay.sees("3 checks are red", "TESTS_FAILED")
    other = await village.replied(fay, "/tasks")
    assert "do not know this button" in (await answered(fay.forge(other, again)))["text"]
    stop = CancelData(task=work.task_id, step="sure").pack()
    assert "has ended already" in (await answered(fay.forge(detailed, stop)))["text"]
    assert len(village.deliveries(fay)) == 1

    presses = [fay.forge(detailed, AfterData(task=work.task_id, do="again").pack()) for _ in range(2)]
    assert "One more attempt" in (await answered(presses[0]))["text"]
    await answered(presses[1])
    second = await village.begun(fay, 2)
    assert second.message.project_id == work.message.project_id
    await second.says("developing")
    shown = await fay.sees("🔄 Writing code")
    assert shown.id != failed.id
    await village.shows_to_the_end(fay, True, False)
    assert len(village.deliveries(fay)) == 2
    assert village.deliveries(eve) == []


async def test_a_message_that_its_person_deletes_is_followed_by_another_one(village: Village) -> None:
    gil = await village.member(name="Gil")
    gil.say("Make a list of hills: name")
    work = await village.begun(gil)
    await work.says("developing")
    screen = await gil.sees("🔄 Writing code")
    village.telegram.remove_by_person(gil.id, screen.id)
    await work.says("testing")
    await gil.sees("🔄 Checks", after=screen.id)
    await work.ends("completed", result={"deployed_url": URL})
    await gil.sees("Ready: list-hills")
    assert len(gil.screens) == 1
    await village.shows_to_the_end(gil, True)
