"""Whatever Telegram answers: nobody is lost, nothing is doubled, and nobody waits for somebody else."""

import httpx
import pytest

from emulators.telegram.faults import Fault, Kind
from emulators.telegram.webhook import SECRET_HEADER
from runtime import private_files
from runtime.ports import any_free
from tests.integration.bot.village import Village, beside
from tests.support.chat import answered, shows
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(40)

_OTHER_TOKEN = "434343:EMULATOR-token-of-the-webhook-bot"


async def test_pages_and_errors_instead_of_answers_are_waited_out(village: Village) -> None:
    ann = await village.member(name="Ann")
    for kind in (Kind.PAGE, Kind.SERVER_ERROR):
        for method in ("getUpdates", "sendMessage"):
            village.telegram.faults.plan(Fault(kind, method))
    ann.say("Make a list of seas: name")
    work = await village.begun(ann)
    village.telegram.faults.plan(Fault(Kind.PAGE, "editMessageText"))
    village.telegram.faults.plan(Fault(Kind.DROP_AFTER, "editMessageText"))
    await work.says("developing", 10)
    await ann.sees("🔄 Writing code")
    await work.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await ann.sees("Ready: list-seas")
    assert len(ann.screens) == 1
    assert len(village.deliveries(ann)) == 1
    await eventually(lambda: village.telegram.faults.planned == [], message="all of it has happened")


async def test_an_acknowledgement_whose_answer_is_lost_may_stand_twice_and_the_work_does_not(village: Village) -> None:
    bob = await village.member(name="Bob")
    village.telegram.faults.plan(Fault(Kind.DROP_AFTER, "sendMessage"))
    bob.say("Make a list of oceans: name")
    work = await village.begun(bob)
    await work.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    await bob.sees("Ready: list-oceans")
    lost, done = bob.screens
    assert "Accepted" in lost.text
    assert "Ready" in done.text
    await village.shows_to_the_end(bob, True)
    assert len(village.deliveries(bob)) == 1


async def test_an_answer_to_a_button_is_sent_again_until_it_is_there(village: Village) -> None:
    cid = await village.member(name="Cid")
    work = await village.asked(cid, choices=["retry", "stop"])
    village.telegram.faults.plan(Fault(Kind.DROP_BEFORE, "answerCallbackQuery"))
    village.telegram.faults.plan(Fault(Kind.PAGE, "answerCallbackQuery"))
    assert "the work goes on" in (await answered(cid.press(await cid.sees("❓"), "Try again")))["text"]
    assert len(work.answers) == 1


async def test_a_typed_secret_is_deleted_whatever_deleting_meets(village: Village) -> None:
    dan = await village.member(name="Dan")
    await village.asked(dan, kind="secret", secret_names=["PAYMENT_KEY"])
    for kind in (Kind.PAGE, Kind.DROP_AFTER):
        village.telegram.faults.plan(Fault(kind, "deleteMessage"))
    said = dan.say("PAYMENT_KEY=sk-0123456789")
    await dan.sees("Stored: PAYMENT_KEY. Your message is deleted.")
    assert dan.chat.find(said.id) is None


async def test_nobody_waits_for_a_chat_that_telegram_tells_to_wait(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.post._SOON_S", 0.2)
    eve, ann = village.stranger(name="Eve"), await village.member(name="Ann")
    village.crowd.waiting.add(eve.id)
    refused = len(village.telegram.refusals)
    eve.say("/start")
    await eventually(lambda: len(village.telegram.refusals) > refused, message="Eve's chat has to wait")
    assert "Send a sentence" in (await village.replied(ann, "/help")).text
    assert eve.screens == [], "her turn comes later"
    village.crowd.waiting.clear()
    await eve.sees("no access")


async def test_where_the_bot_may_not_write_it_stays_silent_and_serves_the_others(village: Village) -> None:
    eve, ann = await village.member(name="Eve"), await village.member(name="Ann")
    muted = village.group(eve)
    muted.muted = eve.chat.blocked = True
    village.telegram.updates.hold()
    for chat in (muted, eve.chat):
        village.telegram.say(eve.id, "/start", chat_id=chat.id)
        village.telegram.say(eve.id, "/new Make a list of doors", chat_id=chat.id)
    ann.say("/help")
    village.telegram.updates.release()
    await ann.sees("Send a sentence")
    await village.shows_to_the_end(eve, True, True)
    assert muted.from_bot == eve.screens == []


async def test_a_group_that_becomes_a_supergroup_gets_its_end_there(village: Village) -> None:
    ann = await village.member(name="Ann")
    group = village.group(ann)
    village.telegram.say(ann.id, "/new Make a list of boats: name", chat_id=group.id)
    work = await village.begun(ann)
    await work.says("developing")
    await shows(group, "🔄 Writing code")
    moved = village.telegram.upgrade(group.id, group.id - 10**12)
    await work.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
    done = await shows(moved, "Ready: list-boats")
    assert moved.from_bot == [done]
    assert not any("Ready" in message.text for message in group.from_bot)
    await village.shows_to_the_end(ann, True)


async def test_in_a_group_the_menu_of_languages_stays_for_the_others(village: Village) -> None:
    ann = await village.member(name="Ann")
    group = village.group(ann)
    menu = await village.replied(ann, "/language", group)
    pressed = ann.forge(menu, menu.button("Русский").data or "", chat=group.id)
    assert "по-русски" in (await answered(pressed))["text"]
    assert group.find(menu.id) == menu
    assert "Сейчас ничего не выполняется" in (await village.replied(ann, "/status", group)).text


async def test_a_webhook_takes_updates_with_the_secret_only(village: Village) -> None:
    port = any_free()
    url = f"http://127.0.0.1:{port}/telegram"
    async with (
        beside(village, _OTHER_TOKEN, bot_webhook_url=url, bot_webhook_port=port) as village,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        ann = await village.member(name="Ann")
        secret = private_files.read(village.settings.bot_webhook_secret_path).strip()
        village.telegram.updates.hold()
        ann.say("Make a list of moons: name")
        update = village.telegram.last_update()
        for headers in ({}, {SECRET_HEADER: "guessed"}, {SECRET_HEADER: secret[:-1]}):
            assert (await http.post(url, json=update, headers=headers)).status_code == 401
        assert (await http.post(url, json={"update_id": "x"}, headers={SECRET_HEADER: secret})).status_code == 400
        assert await village.screens(ann) == []
        village.telegram.updates.release()
        work = await village.begun(ann)
        assert (await http.post(url, json=update, headers={SECRET_HEADER: secret})).status_code == 200
        await village.settled(ann)
        await work.ends("completed", result={"deployed_url": "http://127.0.0.1:18999"})
        await ann.sees("Ready: list-moons")
        assert village.deliveries(ann) == [work.message]
        await village.shows_to_the_end(ann, True)
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).text == "ok"
        await eventually(lambda: village.telegram.updates.pending == [], message="each update was confirmed")
