"""The connection to the Bot API."""

from typing import Any, cast

import structlog
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import ClientDecodeError, TelegramBadRequest, TelegramServerError
from aiogram.methods import Response, SendMessage, SendPhoto, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import Chat, Message

from contracts.base import utc_now

_MAX_CONNECTIONS = 200
_TOO_MANY = 429
_NO_MESSAGE = 1
_DONE = {
    "sendMessage",
    "sendPhoto",
    "editMessageText",
    "deleteMessage",
    "answerCallbackQuery",
    "setMyCommands",
    "deleteWebhook",
}
"""Methods whose answer says no more than that they were carried out, but for the id of a message."""

log = structlog.get_logger(__name__)


def connect(token: str, url: str) -> Bot:
    """A client for the Bot API at `url`. It connects on its first call."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(url), limit=_MAX_CONNECTIONS)
    session.middleware(_UnreadableAnswers())
    return Bot(token, session=session, default=DefaultBotProperties(parse_mode=ParseMode.HTML))


class _UnreadableAnswers(BaseRequestMiddleware):
    """Treats an answer that is not a Bot API document, such as a proxy's error page, as a server error.

    An answer that says "ok" in a form that we do not know is no reason to do the same again: the call had its effect.
    The body is dropped: it may repeat what people wrote.
    """

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        try:
            return await make_request(bot, method)
        except ClientDecodeError as error:
            log.warning("telegram's answer cannot be read", method=method.__api_method__, cause=error.message)
            answer = error.data if isinstance(error.data, dict) else {}
            if answer.get("ok") is True and method.__api_method__ in _DONE:
                # What passes here is the result itself, whatever the signature says.
                return cast("Response[TelegramType]", _as_far_as_known(method, answer.get("result")))
            code = answer.get("error_code")
            if answer.get("ok") is False and isinstance(code, int) and 400 <= code < 500 and code != _TOO_MANY:
                raise TelegramBadRequest(method=method, message="the answer cannot be read") from None
            raise TelegramServerError(method=method, message="the answer cannot be read") from None


def _as_far_as_known(method: TelegramMethod[Any], result: object) -> object:
    """Of a message only its id is used. One without an id counts as sent, too: it cannot be edited later."""
    if not isinstance(method, SendMessage | SendPhoto):
        return True
    message_id = result.get("message_id") if isinstance(result, dict) else None
    known = message_id if isinstance(message_id, int) else _NO_MESSAGE
    return Message(message_id=known, date=utc_now(), chat=Chat(id=0, type="private"))
