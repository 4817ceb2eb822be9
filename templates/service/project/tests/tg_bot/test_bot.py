import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import GetMe
from aiohttp.test_utils import TestClient, TestServer

from services.environment import SettingsError
from services.tg_bot import handlers, server
from services.tg_bot.app import work
from services.tg_bot.polling import Link, stand_by
from services.tg_bot.settings import Settings
from tests.tg_bot.conversation import Conversation

TOKEN = "42:TEST"


async def test_start_says_what_the_bot_is(conversation: Conversation) -> None:
    [text] = await conversation.send("/start")
    assert "/help" in text


async def test_help_lists_every_command(conversation: Conversation) -> None:
    [text] = await conversation.send("/help")
    for module in handlers.modules():
        if hasattr(module, "COMMAND"):
            assert f"/{module.COMMAND} - " in text


async def test_other_text_is_answered_with_where_to_look(conversation: Conversation) -> None:
    [text] = await conversation.send("good morning")
    assert "/help" in text


@pytest.mark.parametrize("token", ["nonsense", "42 :TEST"])
def test_a_malformed_token_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", token)
    with pytest.raises(SettingsError, match="TELEGRAM_BOT_TOKEN: .*BotFather") as refused:
        Settings.from_env()
    assert token not in str(refused.value)


async def test_without_a_token_the_bot_says_so_and_is_not_healthy() -> None:
    task = asyncio.create_task(stand_by())
    app = server.create_app(Settings(telegram_bot_token=""), Link(), task)
    async with TestClient(TestServer(app)) as client:
        assert "TELEGRAM_BOT_TOKEN is not set" in await (await client.get("/")).text()
        health = await client.get("/health")
        assert (health.status, (await health.json())["status"]) == (503, "no token")
    task.cancel()


async def test_health_is_200_only_while_the_polling_task_lives() -> None:
    link = Link()
    task = asyncio.create_task(stand_by())
    app = server.create_app(Settings(telegram_bot_token=TOKEN), link, task)
    async with TestClient(TestServer(app)) as client:
        waiting = await client.get("/health")
        assert (waiting.status, (await waiting.json())["polling"]) == (200, False)
        assert "/start" in await (await client.get("/")).text()
        link.up = True
        assert (await (await client.get("/health")).json())["polling"] is True
        task.cancel()
        await asyncio.wait([task])
        assert (await client.get("/health")).status == 503


async def test_the_link_follows_the_last_call() -> None:
    link = Link()
    bot = Bot(TOKEN)

    async def reached(bot: Bot, method: Any) -> str:
        return "answer"

    async def unreachable(bot: Bot, method: Any) -> str:
        raise TelegramNetworkError(GetMe(), "no route")

    assert await link.watch(reached, bot, GetMe()) == "answer"
    assert link.up
    with pytest.raises(TelegramNetworkError):
        await link.watch(unreachable, bot, GetMe())
    assert not link.up


async def test_a_candidate_stands_by_without_asking_telegram() -> None:
    settings = Settings(telegram_bot_token=TOKEN, release_phase="candidate")
    link = Link()
    async with AsyncExitStack() as opened:
        task = asyncio.create_task(work(settings, link, opened))
        await asyncio.wait([task], timeout=0.01)
        assert (task.done(), link.up) == (False, False)
        task.cancel()
