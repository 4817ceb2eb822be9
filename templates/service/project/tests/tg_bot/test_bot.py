import asyncio

import pytest
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import GetMe
from aiohttp.test_utils import TestClient, TestServer

from services.tg_bot import handlers, health
from services.tg_bot.polling import Link, stand_by
from services.tg_bot.settings import Settings, SettingsError

TOKEN = "42:TEST"


async def test_start_says_what_the_bot_is(conversation) -> None:
    [text] = await conversation.send("/start")
    assert "/help" in text


async def test_help_lists_every_command(conversation) -> None:
    [text] = await conversation.send("/help")
    for module in handlers.modules():
        if hasattr(module, "COMMAND"):
            assert f"/{module.COMMAND} - " in text


async def test_other_text_is_repeated(conversation) -> None:
    assert await conversation.send("good morning") == ["good morning"]


@pytest.mark.parametrize("token", ["", "nonsense", "42 :TEST"])
def test_a_malformed_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"TELEGRAM_BOT_TOKEN": token})
    assert "BotFather" in str(refused.value)


async def test_health_is_200_only_while_the_polling_task_lives() -> None:
    link = Link()
    task = asyncio.create_task(asyncio.Event().wait())
    app = health.create_app(Settings(token=TOKEN), link, task)
    async with TestClient(TestServer(app)) as client:
        waiting = await client.get("/health")
        assert (waiting.status, (await waiting.json())["polling"]) == (200, False)
        link.up = True
        assert (await (await client.get("/health")).json())["polling"] is True
        task.cancel()
        await asyncio.wait([task])
        assert (await client.get("/health")).status == 503


async def test_the_link_follows_the_last_call() -> None:
    link = Link()

    async def reached(bot, method) -> str:
        return "answer"

    async def unreachable(bot, method) -> str:
        raise TelegramNetworkError(GetMe(), "no route")

    assert await link.watch(reached, None, GetMe()) == "answer"
    assert link.up
    with pytest.raises(TelegramNetworkError):
        await link.watch(unreachable, None, GetMe())
    assert not link.up


async def test_a_candidate_stands_by_without_asking_telegram() -> None:
    settings = Settings.from_env({"TELEGRAM_BOT_TOKEN": TOKEN, "RELEASE_PHASE": "candidate"})
    assert settings.is_candidate
    task = asyncio.create_task(stand_by())
    await asyncio.wait([task], timeout=0.01)
    assert not task.done()
    task.cancel()
