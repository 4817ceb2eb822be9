"""A new description is not swallowed as an answer, and people who come back see what is true."""

import pytest

from tests.integration.bot.harness import BotHarness
from tests.support.eventually import eventually
from tests.support.people.chat import answered

pytestmark = pytest.mark.timeout(40)

CHOICES = ["retry", "stop"]
NEW = "Make a list of cars: name, year:int"


@pytest.mark.parametrize(
    "text", [NEW, "Сделай список машин: имя", "I want a bot that says Hi", "A library with books: title, author"]
)
async def test_a_text_that_may_be_a_new_description_is_asked_about(harness: BotHarness, text: str) -> None:
    ann = await harness.member(name="Ann")
    delivery = await harness.asked(ann, choices=CHOICES)
    reply = await harness.replied(ann, text)
    assert "something new to build?" in reply.text
    assert [button.text for button in reply.buttons] == ["💬 The answer", "🆕 Something new"]
    assert (delivery.answers, len(harness.deliveries(ann))) == ([], 1)
    await answered(ann.press(reply, "Something new"))
    second = await harness.started(ann, 2)
    assert second.message.spec.description == text
    assert delivery.answers == []


async def test_the_first_choice_counts(harness: BotHarness) -> None:
    bob = await harness.member(name="Bob")
    delivery = await harness.asked(bob, "Make a list of towns")
    reply = await harness.replied(bob, NEW)
    assert "continuing" in (await answered(bob.press(reply, "The answer")))["text"]
    assert "already chosen" in (await answered(bob.forge(reply, reply.button("new").data or "")))["text"]
    assert [command.text for command, _ in delivery.answers] == [NEW]
    assert len(harness.deliveries(bob)) == 1


@pytest.mark.parametrize("text", ["retry", "Try again", "title, text", "name and price please"])
async def test_what_reads_like_an_answer_is_one(harness: BotHarness, text: str) -> None:
    cid = await harness.member(name="Cid")
    delivery = await harness.asked(cid, choices=CHOICES)
    cid.say(text)
    await eventually(lambda: delivery.answers, message="the answer")
    assert len(harness.deliveries(cid)) == 1


async def test_a_reply_to_the_question_is_its_answer_whatever_it_says(harness: BotHarness) -> None:
    dan = await harness.member(name="Dan")
    delivery = await harness.asked(dan)
    dan.say(NEW, reply_to=await dan.sees("❓"))
    await eventually(lambda: delivery.answers, message="the answer")
    assert [command.text for command, _ in delivery.answers] == [NEW]


async def test_somebody_who_unblocks_the_bot_sees_how_the_task_stands(harness: BotHarness) -> None:
    eve = await harness.member(name="Eve")
    eve.say("Make a list of doors: name")
    delivery = await harness.started(eve)
    await delivery.says("developing", 10)
    await eve.sees("🔄 Writing code")
    harness.telegram.block(eve.id)
    await delivery.says("testing", 40)
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await eventually(lambda: any("blocked" in why for _, why in harness.telegram.refusals), message="the bot noticed")
    harness.telegram.unblock(eve.id)
    await eve.sees("Ready: list-doors")
    await harness.screens_are_final(eve, True)
    assert len(eve.screens) == 1


async def test_somebody_who_unblocks_the_bot_after_a_restart_sees_it_too(harness: BotHarness) -> None:
    fay = await harness.member(name="Fay")
    fay.say("Make a list of roofs: name")
    delivery = await harness.started(fay)
    await delivery.says("developing", 10)
    await fay.sees("🔄 Writing code")
    harness.telegram.block(fay.id)
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    refused = len(harness.telegram.refusals)
    await harness.restart_bot()
    await eventually(lambda: len(harness.telegram.refusals) > refused, message="the bot tried again")
    fay.chat.blocked = False
    fay.say("/help")
    await fay.sees("Ready: list-roofs")


async def test_no_two_buttons_say_the_same(harness: BotHarness) -> None:
    gil = await harness.member(name="Gil")
    long = "A very long choice that goes on and on until nobody reads it any more"
    await harness.asked(gil, choices=["retry", "retry", "stop", f"{long} one", f"{long} two"])
    labels = [button.text for button in (await gil.sees("❓")).buttons]
    assert labels[:2] == ["🔁 Try again", "⏹ Stop"]
    assert len(set(labels)) == len(labels) == 4
