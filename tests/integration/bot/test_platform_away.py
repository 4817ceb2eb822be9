"""While a part of the platform is away nothing that people have written is lost, and nothing is done twice after it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest
import pytest_asyncio
from aiogram.types import Update

from bot.inbox import Inbox
from runtime.chat_client import ChatApi
from tests.integration.bot.village import Village, running_village
from tests.support.chat import Talker, answered
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(60)

AWAY = "does not answer now. Your message is not lost"


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Village]:
    """One of its own: what is cut here is cut for all that is still open in it."""
    with pytest.MonkeyPatch.context() as patch:
        # That one request is repeated by its client is proven elsewhere; here the bot has to do it.
        patch.setattr("bot.run.ChatApi", partial(ChatApi, attempts=1))
        async with running_village(tmp_path_factory.mktemp("village")) as village:
            yield village


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Updates that are still not done with, each time that they were tried; the bot does not wait long in between."""
    monkeypatch.setattr("bot.inbox._TELL_AFTER_S", 0.0)
    for module in ("bot.inbox", "bot.journey"):
        monkeypatch.setattr(f"{module}._FIRST_PAUSE_S", 0.02)
        monkeypatch.setattr(f"{module}._LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr("runtime.api_client._pause", lambda _failures: asyncio.sleep(0.02))
    tried: list[int] = []
    tell = Inbox._tell_away

    async def counted(inbox: Inbox, update: Update) -> None:
        await tell(inbox, update)
        tried.append(update.update_id)

    monkeypatch.setattr(Inbox, "_tell_away", counted)
    return tried


def told_away(talker: Talker) -> int:
    return sum(AWAY in message.text for message in talker.screens)


@pytest.mark.parametrize("outage", ["api", "database"])
async def test_everything_that_was_written_meanwhile_is_done_once_when_it_is_back(
    village: Village, tries: list[int], outage: str
) -> None:
    ann, bob, cid = [await village.member(name=name) for name in ("Ann", "Bob", "Cid")]
    answering = await village.asked(bob, choices=["retry", "stop"])
    secret = await village.asked(cid, kind="secret", secret_names=["PAYMENT_KEY"], choices=["stop"])
    value = f"sk-{uuid4().hex}"
    async with village.without(outage):
        village.telegram.updates.hold()
        ann.say("Make a list of storms: name")
        wish = village.telegram.last_update()["update_id"]
        ann.say("/help")
        press = bob.press(await bob.sees("❓"), "Try again")
        typed = cid.say(value)
        village.telegram.updates.release()
        await eventually(lambda: tries.count(wish) >= 3, 20, message="tried again and again")
        for talker in (ann, bob, cid):
            await talker.sees(AWAY)
        assert village.deliveries(ann) == []
    work = await village.begun(ann)
    assert work.message.spec.description == "Make a list of storms: name"
    await ann.sees("Send a sentence")
    assert "the work goes on" in (await answered(press))["text"]
    await cid.sees("🔐 Stored: PAYMENT_KEY.")
    assert cid.chat.find(typed.id) is None
    for talker in (ann, bob, cid):
        await village.settled(talker)
        assert told_away(talker) == 1
        assert len(await village.screens(talker)) == 1
    assert [(command.text, answer_id) for command, answer_id in answering.answers] == [("retry", press.id)]
    assert [command.secret_stored for command, _ in secret.answers] == [True]
    for one in (work, answering, secret):
        await one.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    for talker in (ann, bob, cid):
        await talker.sees("✅ Ready")
        await village.shows_to_the_end(talker, True)


@pytest.mark.parametrize("outage", ["api", "database"])
async def test_a_bot_that_is_started_while_the_platform_is_away_waits_for_it(
    village: Village, tries: list[int], outage: str
) -> None:
    dan = await village.member(name="Dan")
    await village.stop_bot()
    async with village.without(outage):
        dan.say("Make a list of winds: name")
        calls = len(village.telegram.calls)
        village.begin_bot()
        await eventually(lambda: len(village.telegram.calls) > calls, message="the bot says who it is")
        assert not village.telegram.updates.polled
    await village.bot_listens()
    await village.begun(dan)
    await village.settled(dan)
    assert len(await village.screens(dan)) == 1


async def test_without_temporal_wishes_wait_and_answers_are_asked_for_again(village: Village, tries: list[int]) -> None:
    ann, bob, cid = [await village.member(name=name) for name in ("Ann", "Bob", "Cid")]
    answering = await village.asked(bob, choices=["retry", "stop"])
    secret = await village.asked(cid, kind="secret", secret_names=["PAYMENT_KEY"], choices=["stop"])
    value = f"sk-{uuid4().hex}"
    async with village.without("temporal"):
        ann.say("Make a list of clouds: name")
        await ann.sees("Accepted", "clouds")
        assert "not well" in (await village.replied(ann, "/status")).text
        screen = await bob.sees("❓")
        assert "try again in a minute" in (await answered(bob.press(screen, "Try again")))["text"]
        typed = cid.say(value)
        await cid.sees("try again in a minute")
        assert cid.chat.find(typed.id) is None
        assert village.deliveries(ann) == []
    work = await village.begun(ann)
    await village.settled(ann)
    assert village.deliveries(ann) == [work.message]
    assert (answering.answers, secret.answers) == ([], [])
    assert "the work goes on" in (await answered(bob.press(screen, "Try again")))["text"]
    cid.say(value)
    await cid.sees("🔐 Stored: PAYMENT_KEY.")
    assert [command.text for command, _ in answering.answers] == ["retry"]
    assert [command.secret_stored for command, _ in secret.answers] == [True]


async def test_an_update_that_is_refused_for_good_is_told_and_blocks_nobody(village: Village) -> None:
    eve, ann = await village.member(name="Eve"), await village.member(name="Ann")
    village.telegram.updates.hold()
    eve.say("Make a list of \x00: name")
    eve.say("/help")
    ann.say("/help")
    village.telegram.updates.release()
    await eve.sees("That did not work")
    for talker in (eve, ann):
        await talker.sees("Send a sentence")
    assert await village.screens(eve) == []
