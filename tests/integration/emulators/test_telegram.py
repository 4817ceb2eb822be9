"""The emulator of the Bot API, as aiogram sees it over HTTP, and as its own documentation demands."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods.base import Response
from aiogram.types import BotCommand, BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from aiohttp import web
from pydantic import BaseModel

from emulators.telegram.faults import Fault, Kind
from emulators.telegram.limits import Limits, Rate
from emulators.telegram.methods import HANDLERS
from emulators.telegram.parameters import SPECIFICATION
from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram
from emulators.telegram.webhook import SECRET_HEADER
from tests.support.eventually import eventually
from tests.support.patience import within

ANN, BOB = 11, 22


@pytest_asyncio.fixture
async def telegram() -> Telegram:
    made = Telegram(limits=Limits(private=Rate(100, 100), whole=Rate(1000, 1000)))
    made.account(ANN)
    return made


@pytest_asyncio.fixture
async def url(telegram: Telegram) -> AsyncIterator[str]:
    async with serving(telegram) as address:
        yield address


def connected(url: str, token: str) -> Bot:
    session = AiohttpSession(api=TelegramAPIServer.from_base(url), timeout=20)
    return Bot(token, session=session, default=DefaultBotProperties(parse_mode="HTML"))


@pytest_asyncio.fixture
async def bot(url: str, telegram: Telegram) -> AsyncIterator[Bot]:
    made = connected(url, telegram.token)
    yield made
    await made.session.close()


def keyboard(*buttons: tuple[str, str]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=text, callback_data=data)] for text, data in buttons]
    )


async def refused(call: Any) -> str:
    with pytest.raises(TelegramBadRequest) as error:
        await call
    return error.value.message


async def test_the_screen_and_its_history_show_what_was_sent_edited_and_deleted(bot: Bot, telegram: Telegram) -> None:
    said = telegram.say(ANN, "/start now")
    sent = await bot.send_message(ANN, "<b>one</b>", reply_markup=keyboard(("Go", "go")))
    await bot.edit_message_text("two", chat_id=ANN, message_id=sent.message_id)
    await bot.delete_message(ANN, said.id)
    chat = telegram.chats[ANN]
    assert [message.text for message in chat.screen] == ["two"]
    assert [frame.change for frame in chat.frames] == ["said", "sent", "edited", "deleted"]
    assert [message.text for message in chat.versions(sent.message_id)] == ["one", "two"]
    assert [version.keyboard for version in chat.versions(sent.message_id)][-1] == ()


async def test_updates_are_numbered_kept_until_confirmed_and_filtered(bot: Bot, telegram: Telegram) -> None:
    telegram.say(ANN, "a")
    telegram.say(ANN, "b")
    first = await bot.get_updates()
    assert [update.message.text for update in first if update.message] == ["a", "b"]
    assert first[1].update_id == first[0].update_id + 1
    assert await bot.get_updates() == first
    rest = await bot.get_updates(offset=first[1].update_id)
    assert [update.update_id for update in rest] == [first[1].update_id]
    assert await bot.get_updates(offset=first[1].update_id + 1, allowed_updates=["callback_query"]) == []
    telegram.say(ANN, "unwanted")
    assert await bot.get_updates() == []


async def test_a_long_poll_waits_for_an_update(bot: Bot, telegram: Telegram) -> None:
    polling = asyncio.create_task(bot.get_updates(timeout=10))
    await eventually(lambda: telegram.updates.polled, message="the poll waits")
    assert not polling.done()
    telegram.say(ANN, "x")
    assert len(await within(polling, 2)) == 1


async def test_two_pollers_conflict_and_the_newer_one_wins(bot: Bot, telegram: Telegram) -> None:
    older = asyncio.create_task(bot.get_updates(timeout=10))
    await eventually(lambda: telegram.updates.polled, message="the older one waits")
    newer = asyncio.create_task(bot.get_updates(timeout=10))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates"):
        await within(older, 2)
    telegram.say(ANN, "x")
    assert len(await within(newer, 2)) == 1


async def test_faults_of_delivery_repeat_reorder_and_hold(bot: Bot, telegram: Telegram) -> None:
    for text in "abcd":
        telegram.say(ANN, text)
    telegram.updates.reorder(seed=3)
    batch = await bot.get_updates()
    ids = [update.update_id for update in batch]
    assert sorted(ids) != ids
    telegram.updates.confirm_below(max(ids) + 1)
    telegram.updates.repeat(telegram.updates.known[0])
    again = await bot.get_updates(offset=max(ids) + 1)
    assert [update.update_id for update in again] == [min(ids)]
    telegram.updates.hold()
    telegram.say(ANN, "late")
    assert await bot.get_updates(offset=max(ids) + 1) == []
    telegram.updates.release()
    assert len(await bot.get_updates(offset=max(ids) + 1)) == 1


async def test_edits_that_telegram_refuses(bot: Bot, telegram: Telegram) -> None:
    said = telegram.say(ANN, "mine")
    sent = await bot.send_message(ANN, "x")
    place = {"chat_id": ANN, "message_id": sent.message_id}
    assert "message is not modified" in await refused(bot.edit_message_text("x", **place))
    assert "message to edit not found" in await refused(bot.edit_message_text("y", chat_id=ANN, message_id=999))
    assert "message can't be edited" in await refused(bot.edit_message_text("y", chat_id=ANN, message_id=said.id))
    assert "message to delete not found" in await refused(bot.delete_message(ANN, 999))
    telegram.chats[ANN].undeletable.add(said.id)
    assert "message can't be deleted" in await refused(bot.delete_message(ANN, said.id))


async def test_texts_that_telegram_refuses(bot: Bot) -> None:
    assert "can't parse entities" in await refused(bot.send_message(ANN, "<q>x</q>"))
    assert "message text is empty" in await refused(bot.send_message(ANN, "<b> </b>"))
    assert "message is too long" in await refused(bot.send_message(ANN, "x" * 4097))
    long = await bot.send_message(ANN, f"<b>{'x' * 4096}</b>")
    assert len(long.text or "") == 4096
    assert "chat not found" in await refused(bot.send_message(77, "x"))
    reply = ReplyParameters(message_id=999)
    assert "message to be replied not found" in await refused(bot.send_message(ANN, "x", reply_parameters=reply))


async def test_keyboards_that_telegram_refuses(bot: Bot) -> None:
    assert "BUTTON_DATA_INVALID" in await refused(bot.send_message(ANN, "x", reply_markup=keyboard(("a", "ж" * 33))))
    many = keyboard(*[(str(number), str(number)) for number in range(101)])
    assert "REPLY_MARKUP_TOO_LONG" in await refused(bot.send_message(ANN, "x", reply_markup=many))
    bare = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="a")]])
    assert "Text buttons are unallowed" in await refused(bot.send_message(ANN, "x", reply_markup=bare))


async def test_a_pressed_button_is_answered_once_and_in_time(bot: Bot, telegram: Telegram) -> None:
    sent = await bot.send_message(ANN, "x", reply_markup=keyboard(("Go", "go")))
    press = telegram.press(ANN, ANN, sent.message_id, "go")
    update = (await bot.get_updates())[0]
    assert update.callback_query is not None
    assert (update.callback_query.id, update.callback_query.data) == (press.id, "go")
    await bot.answer_callback_query(press.id, text="done")
    assert press.answer == {"text": "done", "show_alert": False}
    assert "query is too old" in await refused(bot.answer_callback_query(press.id))
    telegram.callback_deadline_s = 0
    late = telegram.press(ANN, ANN, sent.message_id, "go")
    assert "query is too old" in await refused(bot.answer_callback_query(late.id))


async def test_a_button_of_a_deleted_message_and_of_another_person_arrives(bot: Bot, telegram: Telegram) -> None:
    sent = await bot.send_message(ANN, "x", reply_markup=keyboard(("Go", "go")))
    telegram.remove_by_person(ANN, sent.message_id)
    telegram.account(BOB)
    telegram.press(BOB, ANN, sent.message_id, "forged")
    query = (await bot.get_updates())[0].callback_query
    assert query is not None
    assert (query.from_user.id, query.data) == (BOB, "forged")
    assert type(query.message).__name__ == "InaccessibleMessage"


async def test_a_bot_that_is_too_fast_is_told_to_wait(url: str, telegram: Telegram) -> None:
    telegram.limits = Limits(private=Rate(burst=2, per_second=0.5))
    bot = connected(url, telegram.token)
    await bot.send_message(ANN, "1")
    await bot.send_message(ANN, "2")
    with pytest.raises(TelegramRetryAfter) as error:
        await bot.send_message(ANN, "3")
    assert error.value.retry_after == 2
    await bot.session.close()


async def test_a_person_who_blocked_the_bot_gets_nothing(bot: Bot, telegram: Telegram) -> None:
    telegram.chats[ANN].blocked = True
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(ANN, "x")


async def test_planned_faults_hit_in_order_and_a_drop_after_the_effect_has_the_effect(
    bot: Bot, telegram: Telegram
) -> None:
    telegram.faults.plan(Fault(Kind.RETRY_AFTER, "sendMessage", seconds=7))
    telegram.faults.plan(Fault(Kind.SERVER_ERROR, "sendMessage"))
    telegram.faults.plan(Fault(Kind.DROP_BEFORE, "sendMessage"))
    telegram.faults.plan(Fault(Kind.DROP_AFTER, "sendMessage"))
    with pytest.raises(TelegramRetryAfter):
        await bot.send_message(ANN, "x")
    with pytest.raises(TelegramServerError):
        await bot.send_message(ANN, "x")
    for shown in (0, 1):
        with pytest.raises(TelegramNetworkError):
            await bot.send_message(ANN, "x")
        assert len(telegram.chats[ANN].screen) == shown
    await bot.send_message(ANN, "x")
    assert len(telegram.faults.happened) == 4


async def test_a_wrong_token_and_an_unknown_method_are_refused(url: str, telegram: Telegram) -> None:
    stranger = connected(url, "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(TelegramUnauthorizedError):
        await stranger.get_me()
    await stranger.session.close()
    async with aiohttp.ClientSession() as http:
        for method, code in (("sendPhoto", 400), ("sendDice", 501), ("nonsense", 404)):
            params = {"chat_id": str(ANN)}
            async with http.post(f"{url}/bot{telegram.token}/{method}", data=params) as reply:
                assert (reply.status, (await reply.json())["error_code"]) == (code, code), method


@pytest.mark.parametrize("encoding", ["query", "form", "json"])
async def test_every_encoding_is_understood_and_unknown_parameters_are_refused(
    url: str, telegram: Telegram, encoding: str
) -> None:
    markup = '{"inline_keyboard": [[{"text": "a", "callback_data": "1"}]]}'
    params: dict[str, Any] = {"chat_id": str(ANN), "text": "[1]", "reply_markup": markup}
    address = f"{url}/bot{telegram.token}/sendmessage"
    async with aiohttp.ClientSession() as http:
        for extra, code in (({}, 200), ({"txt": "x"}, 400)):
            body = params | extra
            if encoding == "query":
                reply = await http.get(address, params=body)
            elif encoding == "form":
                reply = await http.post(address, data=body)
            else:
                reply = await http.post(address, json=body)
            assert reply.status == code, await reply.text()
    assert telegram.chats[ANN].screen[-1].text == "[1]"


async def test_commands_are_kept_by_language(bot: Bot, telegram: Telegram) -> None:
    await bot.set_my_commands([BotCommand(command="help", description="Help")])
    await bot.set_my_commands([BotCommand(command="help", description="Помощь")], language_code="ru")
    assert (await bot.get_my_commands(language_code="ru"))[0].description == "Помощь"
    assert "BOT_COMMAND_INVALID" in await refused(bot.set_my_commands([BotCommand(command="Help", description="x")]))


async def test_a_webhook_gets_every_update_with_the_secret_until_it_takes_it(bot: Bot, telegram: Telegram) -> None:
    seen: list[tuple[str, str]] = []
    failing = 2

    async def receive(request: web.Request) -> web.Response:
        nonlocal failing
        body = await request.json()
        seen.append((request.headers.get(SECRET_HEADER, ""), body["message"]["text"]))
        failing -= 1
        return web.Response(status=500 if failing >= 0 else 200)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        assert await bot.set_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", secret_token="S3cret_-")
        with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
            await bot.get_updates()
        telegram.say(ANN, "a")
        telegram.say(ANN, "b")
        await eventually(lambda: len(seen) == 4, message="every attempt")
        assert seen == [("S3cret_-", text) for text in "aaab"]
        info = await bot.get_webhook_info()
        assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
        await bot.delete_webhook()
        assert await bot.get_updates(timeout=0) == []
    finally:
        await runner.cleanup()


async def test_a_bad_webhook_secret_is_refused(bot: Bot) -> None:
    assert "unallowed characters" in await refused(bot.set_webhook("https://a.example/x", secret_token="a b"))
    assert "HTTPS URL must be provided" in await refused(bot.set_webhook("ftp://a.example/x"))


def unknown_fields(value: object, path: str = "") -> list[str]:
    """Fields that aiogram's models, and so the documentation, do not know."""
    if isinstance(value, list | tuple):
        return [found for item in value for found in unknown_fields(item, path)]
    if not isinstance(value, BaseModel):
        return []
    own = [f"{path}.{name}" for name in (value.model_extra or {})]
    return own + [found for name in type(value).model_fields for found in unknown_fields(getattr(value, name), name)]


async def test_every_reply_is_what_the_documentation_says(url: str, bot: Bot, telegram: Telegram) -> None:
    said = telegram.say(ANN, "/help").id
    sent = said + 1
    markup = {"inline_keyboard": [[{"text": "a", "callback_data": "1"}]]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("getMe", {}),
        (
            "sendMessage",
            {"chat_id": ANN, "text": "x", "reply_markup": markup, "reply_parameters": {"message_id": said}},
        ),
        ("editMessageText", {"chat_id": ANN, "message_id": sent, "text": "<b>y</b>", "parse_mode": "HTML"}),
        ("editMessageReplyMarkup", {"chat_id": ANN, "message_id": sent, "reply_markup": markup}),
        ("getUpdates", {}),
        ("sendChatAction", {"chat_id": ANN, "action": "typing"}),
        ("answerCallbackQuery", {"callback_query_id": telegram.press(ANN, ANN, sent, "1").id}),
        ("setMyCommands", {"commands": [{"command": "a", "description": "b"}]}),
        ("getMyCommands", {}),
        ("deleteMessage", {"chat_id": ANN, "message_id": said}),
        ("setWebhook", {"url": "http://127.0.0.1:1/x"}),
        ("getWebhookInfo", {}),
        ("deleteWebhook", {}),
    ]
    # A photo is uploaded, which takes a form: it has a test of its own.
    assert {name for name, _ in calls} == set(HANDLERS) - {"sendPhoto"}
    async with aiohttp.ClientSession() as http:
        for name, params in calls:
            async with http.post(f"{url}/bot{telegram.token}/{name}", json=params) as reply:
                body = await reply.json()
            assert reply.status == 200, (name, body)
            parsed = Response[SPECIFICATION[name.lower()].__returning__].model_validate(body)  # type: ignore[misc]
            assert unknown_fields(parsed.result) == [], name


async def test_a_photo_is_uploaded_with_a_caption_and_answers_a_message(bot: Bot, telegram: Telegram) -> None:
    picture = b"\x89PNG\r\n\x1a\n..."
    first = await bot.send_message(ANN, "see")
    sent = await bot.send_photo(
        ANN,
        BufferedInputFile(picture, "page.png"),
        caption="<b>A page</b>",
        reply_parameters=ReplyParameters(message_id=first.message_id),
    )
    assert (sent.caption, sent.text) == ("A page", None)
    assert sent.photo
    shown = telegram.chats[ANN].find(sent.message_id)
    assert shown is not None
    assert (shown.photo, shown.text, shown.reply_to) == (picture, "A page", first.message_id)


@pytest.mark.parametrize(
    ("photo", "caption", "error"),
    [
        (BufferedInputFile(b"text", "page.png"), "", "IMAGE_PROCESS_FAILED"),
        (BufferedInputFile(b"\x89PNG\r\n", "page.png"), "x" * 1025, "caption is too long"),
        ("https://example.com/page.png", "", "is uploaded"),
    ],
)
async def test_what_is_no_photo_is_refused(bot: Bot, photo: Any, caption: str, error: str) -> None:
    with pytest.raises(TelegramBadRequest, match=error):
        await bot.send_photo(ANN, photo, caption=caption)
