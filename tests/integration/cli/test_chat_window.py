"""The window of `demo --chat`, with keys typed into it."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.demo.chat_line import ChatLine
from cli.demo.chat_window import _Chat, open_window
from emulators.telegram.keyboards import Button
from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram
from tests.support.eventually import eventually
from tests.support.patience import within

ANN = 7


@pytest_asyncio.fixture
async def telegram() -> Telegram:
    made = Telegram()
    made.account(ANN)
    return made


@pytest_asyncio.fixture
async def line(telegram: Telegram) -> AsyncIterator[ChatLine]:
    async with serving(telegram) as url, ChatLine(url, ANN, "ru") as line:
        yield line


async def test_typed_text_is_said_a_number_presses_and_control_c_leaves(telegram: Telegram, line: ChatLine) -> None:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        window = asyncio.create_task(open_window(line))
        keys.send_text("hello\r")
        chat = telegram.chats[ANN]
        await eventually(lambda: [message.text for message in chat.screen] == ["hello"], 10, message="said")
        telegram.send(ANN, "pick", [], ((Button("Yes", "y"), Button("No", "n")),), None)

        def pressed() -> bool:
            keys.send_text("2\r")
            return bool(telegram.presses)

        await eventually(pressed, 10, message="pressed")
        assert {press.data for press in telegram.presses.values()} == {"n"}
        for press in list(telegram.presses.values()):
            telegram.answer(press.id, {"text": "fine", "show_alert": False})
        keys.send_text("\x03")
        await within(window, 10)


async def test_the_window_shows_messages_with_numbered_buttons(telegram: Telegram, line: ChatLine) -> None:
    telegram.send(ANN, "first \x1b[31m", [], ((Button("Yes", "y"),),), None)
    telegram.send(ANN, "second", [], ((Button("No", "n"),),), None)
    shown = "".join(part[1] for part in _Chat(line, await line.screen()).lines())
    assert "[1] Yes" in shown
    assert "[2] No" in shown
    assert "\x1b" not in shown
