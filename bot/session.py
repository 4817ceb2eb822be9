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

_SEVERAL_CALLS = 200

log = structlog.get_logger(__name__)


def connect(token: str, url: str) -> Bot:
    """The bot of this token at the Bot API of this address; it connects at its first call."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(url), limit=_SEVERAL_CALLS)
    session.middleware(_OnlyDocuments())
    return Bot(token, session=session, default=DefaultBotProperties(parse_mode=ParseMode.HTML))


class _OnlyDocuments(BaseRequestMiddleware):
    """An answer that is no document of the Bot API, such as a proxy's page, is one of a server that is not well.

    What stood in it goes no further: it may be what people have written.
    """

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        try:
            return await make_request(bot, method)
        except ClientDecodeError as error:
            log.warning("telegram's answer cannot be read", method=method.__api_method__, cause=error.message)
            raise TelegramServerError(method=method, message="the answer cannot be read") from None
