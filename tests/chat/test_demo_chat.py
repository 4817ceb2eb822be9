"""The chat in the terminal, and the bot as a part of the platform."""

import json
from pathlib import Path

import pytest

from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram
from tests.support.patience import patience
from tests.support.stack import Stack

# The end of a demonstration is the end of all work on its platform, so no other test may use it.
pytestmark = [pytest.mark.timeout(500), pytest.mark.deep]


async def test_lines_of_input_are_sent_and_the_result_is_shown(stack: Stack) -> None:
    said = await stack.cli(
        "demo", "--chat", "--language", "ru", stdin="Сделай список гор: name, height:int\n", timeout=400
    )
    assert said.code == 0, said.out + said.err
    assert "This is not Telegram" in said.out
    assert "Принято" in said.out
    assert "Готово: spisok-gor" in said.out
    assert "http://" in said.out


async def test_buttons_are_pressed_by_their_text_and_json_shows_each_change(stack: Stack) -> None:
    lines = "Make a list of seas: name [agent:fail]\n[Stop]\n[Yes, stop]\n"
    said = await stack.cli("demo", "--chat", "--json", stdin=lines, timeout=400)
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert {"emulator", "url"} <= set(documents[[("emulator" in d) for d in documents].index(True)])
    messages = [document for document in documents if "message" in document]
    assert any("stopped" in message["text"] or "not completed" in message["text"] for message in messages)
    assert said.code == 1, said.out + said.err


async def test_a_second_demo_on_the_same_platform_is_a_new_chat(stack: Stack) -> None:
    said = await stack.cli("demo", "--chat", stdin="/projects\n", timeout=200)
    assert said.code == 0, said.out + said.err
    assert "Your projects" in said.out or "no projects" in said.out


async def test_up_runs_and_supervises_the_bot(stack: Stack) -> None:
    telegram = Telegram(token="454545:EMULATOR-token-of-the-supervised-bot")
    async with serving(telegram) as url:
        env = {"ORCHESTRATOR_BOT_TOKEN": telegram.token, "ORCHESTRATOR_BOT_API_URL": url}
        up = await stack.cli("up", "--detach", env=env, timeout=120)
        assert up.code == 0, up.out + up.err
        assert "7  Telegram bot: starting" in up.out
        try:
            status = await stack.cli("status", "--json", env=env)
            assert status.json["parts"]["bot"]["ok"], status.out
            telegram.account(1, name="Admin")
            telegram.say(1, "/help")
            await telegram.chats[1].wait(lambda chat: chat.from_bot, patience(30))
            environment = (f"/proc/{stack.pid_of('workers')}/environ", f"/proc/{stack.pid_of('bot')}/environ")
            workers, bot = (Path(path).read_bytes().decode() for path in environment)
            assert telegram.token in bot
            assert telegram.token not in workers
            assert "DATABASE_URL" not in bot
            log = (stack.home / "logs" / "bot.log").read_text()
            assert "the bot is ready" in log
            assert telegram.token not in log
        finally:
            stop = await stack.cli("down", timeout=120)
            assert "Stopped bot" in stop.out
            assert (await stack.cli("up", "--detach", timeout=200)).code == 0


async def test_up_names_a_token_that_telegram_refuses_and_starts_the_rest(stack: Stack) -> None:
    async with serving(Telegram()) as url:
        env = {"ORCHESTRATOR_BOT_TOKEN": "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ORCHESTRATOR_BOT_API_URL": url}
        up = await stack.cli("up", "--detach", env=env, timeout=120)
        assert up.code == 0, up.out + up.err
        assert "Telegram does not know this bot token" in up.out
