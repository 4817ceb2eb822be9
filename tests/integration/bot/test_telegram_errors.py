"""Whatever Telegram answers: nothing is lost or duplicated, and no chat waits for another."""

import httpx
import pytest

from emulators.telegram.faults import Fault, Kind
from emulators.telegram.webhook import SECRET_HEADER
from runtime import private_files
from tests.integration.bot.harness import BotHarness, second_bot
from tests.support.eventually import eventually
from tests.support.people.chat import answered, shows
from tests.support.ports import any_free

pytestmark = pytest.mark.timeout(40)

_OTHER_TOKEN = "434343:EMULATOR-token-of-the-webhook-bot"


async def test_the_bot_retries_after_error_pages_and_server_errors(harness: BotHarness) -> None:
    ann = await harness.member(name="Ann")
    for kind in (Kind.PAGE, Kind.SERVER_ERROR):
        for method in ("getUpdates", "sendMessage"):
            harness.telegram.faults.plan(Fault(kind, method))
    ann.say("Make a list of seas: name")
    delivery = await harness.started(ann)
    harness.telegram.faults.plan(Fault(Kind.PAGE, "editMessageText"))
    harness.telegram.faults.plan(Fault(Kind.DROP_AFTER, "editMessageText"))
    await delivery.says("developing", 10)
    await ann.sees("🔄 Writing code")
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await ann.sees("Ready: list-seas")
    assert len(ann.screens) == 1
    assert len(harness.deliveries(ann)) == 1
    await eventually(lambda: harness.telegram.faults.planned == [], message="every fault has happened")


async def test_an_acknowledgement_may_be_sent_twice_but_the_task_starts_once(
    harness: BotHarness,
) -> None:
    bob = await harness.member(name="Bob")
    harness.telegram.faults.plan(Fault(Kind.DROP_AFTER, "sendMessage"))
    bob.say("Make a list of oceans: name")
    delivery = await harness.started(bob)
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await bob.sees("Ready: list-oceans")
    lost, done = bob.screens
    assert "Accepted" in lost.text
    assert "Ready" in done.text
    await harness.screens_are_final(bob, True)
    assert len(harness.deliveries(bob)) == 1


async def test_the_answer_to_a_callback_is_retried(harness: BotHarness) -> None:
    cid = await harness.member(name="Cid")
    delivery = await harness.asked(cid, choices=["retry", "stop"])
    harness.telegram.faults.plan(Fault(Kind.DROP_BEFORE, "answerCallbackQuery"))
    harness.telegram.faults.plan(Fault(Kind.PAGE, "answerCallbackQuery"))
    assert "continuing" in (await answered(cid.press(await cid.sees("❓"), "Try again")))["text"]
    assert len(delivery.answers) == 1


async def test_deleting_a_typed_secret_is_retried(harness: BotHarness) -> None:
    dan = await harness.member(name="Dan")
    await harness.asked(dan, kind="secret", secret_names=["PAYMENT_KEY"])
    for kind in (Kind.PAGE, Kind.DROP_AFTER):
        harness.telegram.faults.plan(Fault(kind, "deleteMessage"))
    said = dan.say("PAYMENT_KEY=sk-0123456789")
    await dan.sees("Saved: PAYMENT_KEY. I've deleted your message.")
    assert dan.chat.find(said.id) is None


async def test_a_429_in_one_chat_delays_no_other(harness: BotHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.sending.sender._FOREGROUND_S", 0.2)
    eve, ann = harness.stranger(name="Eve"), await harness.member(name="Ann")
    harness.limits.limited.add(eve.id)
    refused = len(harness.telegram.refusals)
    eve.say("/start")
    await eventually(lambda: len(harness.telegram.refusals) > refused, message="Eve's chat gets a 429")
    assert "Send me a sentence" in (await harness.replied(ann, "/help")).text
    assert eve.screens == [], "her turn comes later"
    harness.limits.limited.clear()
    await eve.sees("don't have access")


async def test_a_chat_where_the_bot_cannot_write_affects_no_other(harness: BotHarness) -> None:
    eve, ann = await harness.member(name="Eve"), await harness.member(name="Ann")
    muted = harness.group(eve)
    muted.muted = eve.chat.blocked = True
    harness.telegram.updates.hold()
    for chat in (muted, eve.chat):
        harness.telegram.say(eve.id, "/start", chat_id=chat.id)
        harness.telegram.say(eve.id, "/new Make a list of doors", chat_id=chat.id)
    ann.say("/help")
    harness.telegram.updates.release()
    await ann.sees("Send me a sentence")
    await harness.screens_are_final(eve, False, False)
    assert muted.from_bot == eve.screens == []


async def test_a_task_of_a_group_that_becomes_a_supergroup_ends_there(harness: BotHarness) -> None:
    ann = await harness.member(name="Ann")
    group = harness.group(ann)
    harness.telegram.say(ann.id, "/new Make a list of boats: name", chat_id=group.id)
    delivery = await harness.started(ann)
    await delivery.says("developing")
    await shows(group, "🔄 Writing code")
    moved = harness.telegram.upgrade(group.id, group.id - 10**12)
    await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    done = await shows(moved, "Ready: list-boats")
    assert moved.from_bot == [done]
    assert not any("Ready" in message.text for message in group.from_bot)
    await harness.screens_are_final(ann, True)


async def test_in_a_group_the_language_menu_stays_for_the_others(harness: BotHarness) -> None:
    ann = await harness.member(name="Ann")
    group = harness.group(ann)
    menu = await harness.replied(ann, "/language", group)
    pressed = ann.forge(menu, menu.button("Русский").data or "", chat=group.id)
    assert "по-русски" in (await answered(pressed))["text"]
    assert group.find(menu.id) == menu
    assert "Сейчас ничего не выполняется" in (await harness.replied(ann, "/status", group)).text


async def test_a_webhook_accepts_updates_with_its_secret_only(harness: BotHarness) -> None:
    port = any_free()
    url = f"http://127.0.0.1:{port}/telegram"
    async with (
        second_bot(harness, _OTHER_TOKEN, bot_webhook_url=url, bot_webhook_port=port) as harness,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        ann = await harness.member(name="Ann")
        secret = private_files.read(harness.settings.bot_webhook_secret_path).strip()
        harness.telegram.updates.hold()
        ann.say("Make a list of moons: name")
        update = harness.telegram.last_update()
        for headers in ({}, {SECRET_HEADER: "guessed"}, {SECRET_HEADER: secret[:-1]}):
            assert (await http.post(url, json=update, headers=headers)).status_code == 401
        assert (await http.post(url, json={"update_id": "x"}, headers={SECRET_HEADER: secret})).status_code == 400
        assert await harness.screens(ann) == []
        harness.telegram.updates.release()
        delivery = await harness.started(ann)
        assert (await http.post(url, json=update, headers={SECRET_HEADER: secret})).status_code == 200
        await harness.settled(ann)
        await delivery.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
        await ann.sees("Ready: list-moons")
        assert harness.deliveries(ann) == [delivery.message]
        await harness.screens_are_final(ann, True)
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).text == "ok"
        await eventually(lambda: harness.telegram.updates.pending == [], message="each update was confirmed")
