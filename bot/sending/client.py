"""The connection to the Bot API."""

import structlog
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import ClientDecodeError, TelegramServerError
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType

_MAX_CONNECTIONS = 200

log = structlog.get_logger(__name__)


def connect(token: str, url: str) -> Bot:
    """A client for the Bot API at `url`. It connects on its first call."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(url), limit=_MAX_CONNECTIONS)
    session.middleware(_UnreadableAnswers())
    return Bot(token, session=session, default=DefaultBotProperties(parse_mode=ParseMode.HTML))


class _UnreadableAnswers(BaseRequestMiddleware):
    """Treats an answer that is not a Bot API document, such as a proxy's error page, as a server error.

    The body is dropped: it may repeat what people wrote.
    """

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        try:
            return await make_request(bot, method)
        except ClientDecodeError as error:
            log.warning("telegram's answer cannot be read", method=method.__api_method__, cause=error.message)
            raise TelegramServerError(method=method, message="the answer cannot be read") from None
