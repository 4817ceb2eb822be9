"""While a part of the platform is unavailable, nothing people write is lost, and nothing is done twice afterwards."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest
import pytest_asyncio
from aiogram.types import Update

from bot.receiving.inbox import Inbox
from runtime.chat_client import ChatApi
from tests.integration.bot.harness import BotHarness, running_harness
from tests.support.eventually import eventually
from tests.support.people.chat import ChatUser, answered

pytestmark = pytest.mark.timeout(60)

UNAVAILABLE = "not responding. Your message is not lost"


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BotHarness]:
    """A harness for this file only: an outage here hits everything that still runs in it."""
    with pytest.MonkeyPatch.context() as patch:
        # The client's own retries have tests elsewhere; here the bot has to retry.
        patch.setattr("bot.run.ChatApi", partial(ChatApi, attempts=1))
        async with running_harness(tmp_path_factory.mktemp("harness")) as harness:
            yield harness


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of updates, one for each failed attempt to handle them. Pauses between attempts are short."""
    monkeypatch.setattr("bot.receiving.inbox._NOTIFY_AFTER_S", 0.0)
    for module in ("bot.receiving.inbox", "bot.tasks.retries"):
        monkeypatch.setattr(f"{module}._FIRST_PAUSE_S", 0.02)
        monkeypatch.setattr(f"{module}._LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr("runtime.api_client._pause", lambda _failures: asyncio.sleep(0.02))
    tried: list[int] = []
    notify = Inbox._notify_unavailable

    async def counted(inbox: Inbox, update: Update) -> None:
        await notify(inbox, update)
        tried.append(update.update_id)

    monkeypatch.setattr(Inbox, "_notify_unavailable", counted)
    return tried


def outage_notices(user: ChatUser) -> int:
    return sum(UNAVAILABLE in message.text for message in user.screens)


@pytest.mark.parametrize("outage", ["api", "database"])
async def test_everything_written_during_an_outage_is_done_once_after_it(
    harness: BotHarness, tries: list[int], outage: str
) -> None:
    ann, bob, cid = [await harness.member(name=name) for name in ("Ann", "Bob", "Cid")]
    answering = await harness.asked(bob, choices=["retry", "stop"])
    secret = await harness.asked(cid, kind="secret", secret_names=["PAYMENT_KEY"], choices=["stop"])
    value = f"sk-{uuid4().hex}"
    async with harness.without(outage):
        harness.telegram.updates.hold()
        ann.say("Make a list of storms: name")
        wish = harness.telegram.last_update()["update_id"]
        ann.say("/help")
        press = bob.press(await bob.sees("❓"), "Try again")
        typed = cid.say(value)
        harness.telegram.updates.release()
        await eventually(lambda: tries.count(wish) >= 3, 20, message="the update is tried again")
        for user in (ann, bob, cid):
            await user.sees(UNAVAILABLE)
        assert harness.deliveries(ann) == []
    delivery = await harness.started(ann)
    assert delivery.message.spec.description == "Make a list of storms: name"
    await ann.sees("Send me a sentence")
    assert "continuing" in (await answered(press))["text"]
    await cid.sees("🔐 Saved: PAYMENT_KEY.")
    assert cid.chat.find(typed.id) is None
    for user in (ann, bob, cid):
        await harness.settled(user)
        assert outage_notices(user) == 1
        assert len(await harness.screens(user)) == 1
    assert [(command.text, answer_id) for command, answer_id in answering.answers] == [("retry", press.id)]
    assert [command.secret_stored for command, _ in secret.answers] == [True]
    for one in (delivery, answering, secret):
        await one.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    for user in (ann, bob, cid):
        await user.sees("✅ Ready")
        await harness.screens_are_final(user, True)


@pytest.mark.parametrize("outage", ["api", "database"])
async def test_a_bot_that_starts_during_an_outage_waits_for_its_end(
    harness: BotHarness, tries: list[int], outage: str
) -> None:
    dan = await harness.member(name="Dan")
    await harness.stop_bot()
    async with harness.without(outage):
        dan.say("Make a list of winds: name")
        calls = len(harness.telegram.calls)
        harness.begin_bot()
        await eventually(lambda: len(harness.telegram.calls) > calls, message="the bot has called getMe")
        assert not harness.telegram.updates.polled
    await harness.bot_listens()
    await harness.started(dan)
    await harness.settled(dan)
    assert len(await harness.screens(dan)) == 1


async def test_without_temporal_wishes_wait_and_answers_have_to_be_repeated(
    harness: BotHarness, tries: list[int]
) -> None:
    ann, bob, cid = [await harness.member(name=name) for name in ("Ann", "Bob", "Cid")]
    answering = await harness.asked(bob, choices=["retry", "stop"])
    secret = await harness.asked(cid, kind="secret", secret_names=["PAYMENT_KEY"], choices=["stop"])
    value = f"sk-{uuid4().hex}"
    async with harness.without("temporal"):
        ann.say("Make a list of clouds: name")
        await ann.sees("Accepted", "clouds")
        assert "has a problem" in (await harness.replied(ann, "/status")).text
        screen = await bob.sees("❓")
        assert "try again in a minute" in (await answered(bob.press(screen, "Try again")))["text"]
        typed = cid.say(value)
        await cid.sees("try again in a minute")
        assert cid.chat.find(typed.id) is None
        assert harness.deliveries(ann) == []
    delivery = await harness.started(ann)
    await harness.settled(ann)
    assert harness.deliveries(ann) == [delivery.message]
    assert (answering.answers, secret.answers) == ([], [])
    assert "continuing" in (await answered(bob.press(screen, "Try again")))["text"]
    cid.say(value)
    await cid.sees("🔐 Saved: PAYMENT_KEY.")
    assert [command.text for command, _ in answering.answers] == ["retry"]
    assert [command.secret_stored for command, _ in secret.answers] == [True]


async def test_a_permanent_error_is_reported_and_blocks_no_other_chat(harness: BotHarness) -> None:
    eve, ann = await harness.member(name="Eve"), await harness.member(name="Ann")
    harness.telegram.updates.hold()
    eve.say("Make a list of \x00: name")
    eve.say("/help")
    ann.say("/help")
    harness.telegram.updates.release()
    await eve.sees("That didn't work")
    for user in (eve, ann):
        await user.sees("Send me a sentence")
    assert await harness.screens(eve) == []
