"""A sentence in a chat becomes a working URL, all in one message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from benchmarks.chat_acknowledgement import at_once
from emulators.telegram.telegram import Telegram
from tests.chat.transcripts import check_transcript
from tests.support.people.chat import BotProcess, ChatSystem, ChatUser, link, running_chat_system
from tests.support.platform import Shared
from tests.support.ports import free_ports
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module", autouse=True)
async def stories_beside(shared: Shared) -> None:
    """Stories that later tests ask for are told beside this chat: both wait much."""
    shared.stories.begin()


@asynccontextmanager
async def checked(stack: Stack) -> AsyncIterator[None]:
    """What begins in the block is checked against its description, as it is unless somebody says otherwise."""
    await stack.ok("settings", "set", "acceptance", "binding")
    try:
        yield
    finally:
        await stack.ok("settings", "unset", "acceptance")


async def goes_well(system: ChatSystem, user: ChatUser, wish: str, accepted: str, done: str) -> None:
    """From the wish to the URL, in one message."""
    user.say(wish)
    first = await user.sees(accepted, timeout=10)
    last = await user.sees(done, timeout=240)
    assert last.id == first.id
    assert len(user.screens) == 1
    assert last.buttons == []
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{link(last)}/health")).status_code == 200
    assert len(user.chat.versions(last.id)) >= 3
    tasks = await system.tasks_of(user)
    assert [task["state"] for task in tasks] == ["completed"]


async def test_a_sentence_becomes_a_working_url_by_polling(system: ChatSystem) -> None:
    ann = await system.member("ru", "Аня")
    async with checked(system.stack):
        await goes_well(system, ann, "Сделай сервис заметок: title, text", "Принято", "Готово: zametok")
    assert "Сделано и проверено:\n• Сделай сервис заметок: title, text\n\n🧪 Тесты: " in ann.screens[0].text
    assert ann.screens[0].text.endswith(" %")
    assert any("🔄" in message.text for message in ann.chat.versions(ann.screens[0].id))
    check_transcript("main-job.ru.md", ann.chat)


@pytest.mark.deep
async def test_a_sentence_becomes_a_working_url_by_webhook(stack: Stack) -> None:
    port = free_ports(1)
    url = f"http://127.0.0.1:{port}/telegram"
    webhook = {"ORCHESTRATOR_BOT_WEBHOOK_URL": url, "ORCHESTRATOR_BOT_WEBHOOK_PORT": str(port)}
    async with running_chat_system(
        stack, Telegram(token="434343:EMULATOR-token-of-the-webhook-bot"), **webhook
    ) as system:
        bob = await system.member("en", "Bob")
        async with checked(stack):
            await goes_well(system, bob, "Make a list of books: title, author", "Accepted", "Ready: list-books")
        assert system.telegram.webhook.url == url
        assert system.telegram.updates.pending == []
        async with httpx.AsyncClient() as http:
            forged = {"update_id": 1, "message": {"text": "/help"}}
            for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "guessed"}):
                assert (await http.post(url, json=forged, headers=headers)).status_code == 401
        check_transcript("main-job.en.md", bob.chat)


@pytest.mark.deep
async def test_several_people_who_write_together_are_acknowledged_and_the_benchmark_measures_it(
    system: ChatSystem,
) -> None:
    seconds = await at_once(system, 3, "/status")
    assert len(seconds) == 3
    assert all(0 < one < 60 for one in seconds)


@pytest.mark.deep
async def test_repeated_and_reordered_updates_start_one_task_each(system: ChatSystem) -> None:
    cid = await system.member("en", "Cid")
    system.telegram.updates.hold()
    cid.say("Make a list of shops: name [agent:hang]")
    first = system.telegram.last_update()
    cid.say("/new Make a list of roads: name [agent:hang]")
    system.telegram.updates.repeat(first)
    system.telegram.updates.repeat(first)
    system.telegram.updates.reorder(seed=5)
    system.telegram.updates.release()
    await cid.sees("shops")
    await cid.sees("roads")
    system.telegram.updates.repeat(first)
    await system.until(lambda: _both_started(system, cid), message="two tasks")
    assert len(cid.screens) == 2
    for screen in cid.screens:
        pressed = cid.press(await cid.sees_button("Stop"), "Stop") if "⏹" not in screen.text else None
        assert pressed is not None
        sure = await cid.sees_button("Yes, stop")
        cid.press(sure, "Yes, stop")
        await cid.until(lambda chat, sure=sure: "stopped" in chat.find(sure.id).text, 60)
    await asyncio.sleep(0)
    assert len(await system.tasks_of(cid)) == 2


async def _both_started(system: ChatSystem, user: ChatUser) -> bool:
    return len(await system.tasks_of(user)) == 2


@pytest.mark.deep
async def test_a_killed_bot_loses_and_duplicates_nothing(stack: Stack) -> None:
    """Killed before the update is handled, after the acknowledgement, in the middle and at the end."""
    async with running_chat_system(stack, Telegram(token="444444:EMULATOR-token-of-the-killed-bot")) as system:
        dan = await system.member("en", "Dan")
        await system.bot.kill()
        dan.say("Make a list of birds: name, size:int [agent:slow=3]")
        await system.bot.start()
        await dan.sees("Accepted", timeout=30)
        await _killed(system.bot)
        await dan.sees("Writing code")
        await _killed(system.bot)
        await dan.sees("Deployment")
        await _killed(system.bot)
        done = await dan.sees("Ready: list-birds", timeout=240)
        await _killed(system.bot)
        await system.until(lambda: _is_polled(system), message="the bot polls again")
        finals = [message for message in dan.screens if "Ready" in message.text]
        assert [message.id for message in finals] == [done.id]
        # A kill between the sending of the acknowledgement and its record may leave one more of it, and no more.
        assert len(dan.screens) <= 2
        assert len(await system.tasks_of(dan)) == 1


async def _killed(bot: BotProcess) -> None:
    await bot.kill()
    await bot.start()


def _is_polled(system: ChatSystem) -> bool:
    return system.telegram.updates.pending == [] and system.telegram.updates.polled


@pytest.mark.deep
async def test_the_end_names_what_was_not_built(system: ChatSystem) -> None:
    ann = await system.member("en", "Ann")
    ann.say("Make a list of gardens: name. Sort them by size. Don't show them to strangers")
    done = await ann.sees("Ready", timeout=240)
    assert done.text.endswith("Not built:\n• Sort them by size\n• Don't show them to strangers")
