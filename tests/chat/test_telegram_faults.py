"""Whatever Telegram, or a proxy in front of it, answers: nothing is lost, and no chat waits for another."""

import asyncio
from uuid import uuid4

import pytest

from emulators.telegram.faults import Fault, Kind
from tests.chat.test_secrets import waiting_for_a_secret
from tests.support.people.chat import ChatSystem

pytestmark = pytest.mark.timeout(300)


@pytest.mark.deep
async def test_the_bot_retries_after_an_error_page(system: ChatSystem) -> None:
    ann = await system.member(name="Ann")
    for method in ("getUpdates", "sendMessage"):
        system.telegram.faults.plan(Fault(Kind.PAGE, method, times=2))
    ann.say("/help")
    await ann.sees("Send me a sentence", timeout=30)
    assert system.bot.process is not None
    assert system.bot.process.returncode is None


@pytest.mark.deep
async def test_deleting_a_typed_secret_is_retried(system: ChatSystem) -> None:
    bob = await waiting_for_a_secret(system, "Bob")
    system.telegram.faults.plan(Fault(Kind.PAGE, "deleteMessage"))
    system.telegram.faults.plan(Fault(Kind.RETRY_AFTER, "deleteMessage", seconds=3))
    before = len(system.telegram.calls)
    said = bob.say(f"PAYMENT_KEY=sk-{uuid4().hex}")
    await bob.sees("Saved: PAYMENT_KEY. I've deleted your message.", timeout=30)
    assert bob.chat.find(said.id) is None
    asked = [name for name, _ in system.telegram.calls[before:]]
    assert asked.count("deleteMessage") == 3, "once for each fault, and once more"
    await bob.sees("Ready", timeout=240)


@pytest.mark.deep
async def test_a_429_in_one_chat_delays_no_other(system: ChatSystem) -> None:
    eve, ann = system.stranger(name="Eve"), await system.member(name="Ann")
    system.telegram.faults.plan(Fault(Kind.RETRY_AFTER, "sendMessage", seconds=25))
    eve.say("/start")
    await system.until(lambda: ("sendMessage", Kind.RETRY_AFTER) in system.telegram.faults.happened[-1:], 10)
    await asyncio.sleep(0)
    ann.say("/help")
    await ann.sees("Send me a sentence", timeout=10)
    assert eve.screens == [], "her turn comes later"
    await eve.sees("don't have access", timeout=40)
