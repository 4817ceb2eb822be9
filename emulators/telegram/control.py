"""Actions of users over HTTP, for a terminal or a test in another process. Telegram has nothing like it."""

import asyncio
import contextlib
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from emulators.telegram.chats import Chat, Message
from emulators.telegram.faults import Fault, Kind
from emulators.telegram.keyboards import Button
from emulators.telegram.telegram import Press, Telegram

_LONGEST_WAIT_S = 30.0

Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Say(_Body):
    user_id: int
    text: str
    language: str | None = "en"
    reply_to: int | None = None
    chat_id: int | None = None


class PressButton(_Body):
    """A button named by its callback data (which may be forged) or by a part of its text."""

    user_id: int
    message_id: int
    chat_id: int | None = None
    data: str | None = None
    text: str | None = None


class PlannedFault(_Body):
    kind: Kind
    method: str = "*"
    times: int = 1
    seconds: float = 1.0
    skip: int = 0


def add_routes(app: web.Application, telegram: Telegram) -> None:
    control = _Control(telegram)
    app.router.add_get("/emulator/health", control.health)
    app.router.add_post("/emulator/say", control.say)
    app.router.add_post("/emulator/press", control.press)
    app.router.add_get("/emulator/presses/{press}", control.pressed)
    app.router.add_get("/emulator/chats/{chat}", control.chat)
    app.router.add_post("/emulator/faults", control.plan)


class _Control:
    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"emulator": True, "bot": self._telegram.bot, "listening": self._listening})

    @property
    def _listening(self) -> bool:
        """Whether a bot is receiving updates now."""
        return self._telegram.updates.polled or bool(self._telegram.webhook.url)

    async def say(self, request: web.Request) -> web.Response:
        body = await _read(request, Say)
        self._telegram.account(body.user_id)
        self._telegram.set_language(body.user_id, body.language)
        said = self._telegram.say(body.user_id, body.text, chat_id=body.chat_id, reply_to=body.reply_to)
        return web.json_response({"message_id": said.id})

    async def press(self, request: web.Request) -> web.Response:
        body = await _read(request, PressButton)
        chat = self._chat(body.chat_id or body.user_id)
        self._telegram.account(body.user_id)
        press = self._telegram.press(body.user_id, chat.id, body.message_id, self._data(chat, body))
        return web.json_response({"press": press.id})

    async def pressed(self, request: web.Request) -> web.Response:
        press = self._telegram.presses.get(request.match_info["press"])
        if press is None:
            raise web.HTTPNotFound(text="no such press")
        await _until_answered(press, float(request.query.get("timeout", "0")))
        return web.json_response({"answer": press.answer})

    async def chat(self, request: web.Request) -> web.Response:
        """The screen. With `after` and `timeout` (seconds): wait for a frame with a higher number."""
        chat = self._chat(int(request.match_info["chat"]))
        after, timeout = int(request.query.get("after", "-1")), float(request.query.get("timeout", "0"))
        if timeout > 0:
            # After the timeout, the unchanged screen is the answer.
            await _until_newer(chat, after, min(timeout, _LONGEST_WAIT_S))
        return web.json_response(
            {"frame": len(chat.frames) - 1, "screen": [_document(message) for message in chat.screen]}
        )

    async def plan(self, request: web.Request) -> web.Response:
        body = await _read(request, PlannedFault)
        self._telegram.faults.plan(Fault(**body.model_dump()))
        return web.json_response({"planned": len(self._telegram.faults.planned)})

    def _chat(self, chat_id: int) -> Chat:
        if chat_id > 0:
            self._telegram.account(chat_id)
        if (chat := self._telegram.chats.get(chat_id)) is None:
            raise web.HTTPNotFound(text="no such chat")
        return chat

    @staticmethod
    def _data(chat: Chat, body: PressButton) -> str:
        if body.data is not None:
            return body.data
        message = chat.find(body.message_id)
        try:
            button: Button | None = None if message is None else message.button(body.text or "")
        except LookupError as error:
            raise web.HTTPNotFound(text=str(error)) from None
        if button is None or button.data is None:
            raise web.HTTPNotFound(text="no such button")
        return button.data


async def _until_newer(chat: Chat, after: int, timeout: float) -> None:
    try:
        await chat.wait(lambda now: len(now.frames) - 1 > after, timeout)
    except TimeoutError:
        return


async def _until_answered(press: Press, timeout: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(timeout, _LONGEST_WAIT_S)):
            await press.answered.wait()


async def _read(request: web.Request, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(await request.text())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from None


def _document(message: Message) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "from_bot": message.from_bot,
        "text": message.text,
        "entities": list(message.entities),
        "buttons": [[button.document() for button in row] for row in message.keyboard],
        "edited": message.edited is not None,
    }
