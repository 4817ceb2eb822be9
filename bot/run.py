"""The composition of the bot: settings in, a running bot out."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import BotCommand, User
from aiogram.utils.token import TokenValidationError, validate_token

from bot import webhook
from bot.desk import Desk
from bot.dispatcher import ALLOWED_UPDATES, build_dispatcher
from bot.inbox import Inbox
from bot.journey import patiently
from bot.pace import Pace
from bot.polling import poll
from bot.post import Post
from bot.screens import Screens
from bot.session import connect
from bot.starts import Starts
from bot.texts import DEFAULT, LANGUAGES, texts
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.chat_client import ChatApi
from runtime.logging import register_secret
from runtime.settings import Settings

_API_TIMEOUT_S = 25.0
_RETRY_S = 3.0
_COMMANDS = ("new", "projects", "tasks", "status", "cancel", "language", "help")

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run until cancelled. Raises OrchestratorError when the token is missing, malformed or refused."""
    token = read_token(settings)
    key = private_files.read(settings.bot_key_file).strip()
    bot = connect(token, settings.bot_api_url)
    async with bot.session, ChatApi(settings.api_url, key, timeout_s=_API_TIMEOUT_S, max_connections=None) as api:
        me = await _introduced(bot)
        post = Post(bot, Pace())
        starts = Starts()
        screens = Screens(api, post, starts)
        desk = Desk(bot_id=me.id, bot_name=me.username or "", api=api, post=post, screens=screens)
        inbox = Inbox(bot, build_dispatcher(desk), post, starts)
        try:
            left = await patiently(lambda: screens.resume(me.id))
            log.info("the bot is ready", bot=me.username, resumed=left)
            await _receive(settings, bot, inbox)
        finally:
            await screens.close()


def read_token(settings: Settings) -> str:
    """The token, from the environment or a private file. No log ever shows it."""
    if settings.bot_token is not None:
        token = settings.bot_token.get_secret_value().strip()
    elif settings.bot_token_file is not None:
        token = private_files.read(settings.bot_token_file).strip()
    else:
        raise _bad_token("There is no bot token. Set ORCHESTRATOR_BOT_TOKEN_FILE (or ORCHESTRATOR_BOT_TOKEN).")
    register_secret(token)
    try:
        validate_token(token)
    except TokenValidationError:
        raise _bad_token("The bot token does not look like one: @BotFather gives it as 123456:ABC…") from None
    return token


async def _introduced(bot: Bot) -> User:
    """Who the bot is; waits until Telegram can be reached."""
    while True:
        try:
            # Kept by the bot: it is asked for again with each command that names a bot.
            return await bot.me()
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise _bad_token("Telegram does not know this bot token. Ask @BotFather for a valid one.") from None
        except TelegramAPIError as error:
            log.warning("telegram cannot be reached; trying again", cause=type(error).__name__)
        await asyncio.sleep(_RETRY_S)


async def _receive(settings: Settings, bot: Bot, inbox: Inbox) -> None:
    introducing = asyncio.create_task(_introduce_commands(bot))
    try:
        if settings.bot_webhook_url:
            await _by_webhook(settings, bot, inbox, settings.bot_webhook_url)
        else:
            await _insistently(lambda: bot.delete_webhook())
            _say_ready()
            await poll(bot, inbox)
    finally:
        introducing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await introducing


async def _by_webhook(settings: Settings, bot: Bot, inbox: Inbox, url: str) -> None:
    secret = private_files.read_or_create(settings.bot_webhook_secret_path)
    register_secret(secret)
    async with webhook.listening(
        bot, inbox, url=url, secret=secret, host=settings.bot_webhook_host, port=settings.bot_webhook_port
    ) as address:
        log.info("listening for updates", address=address)
        await _insistently(lambda: bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED_UPDATES))
        _say_ready()
        await asyncio.Event().wait()


async def _introduce_commands(bot: Bot) -> None:
    """The menu beside the input, in each language; what another language sees is English."""
    for language in LANGUAGES:
        menu = [BotCommand(command=name, description=texts(language).plain(f"command-{name}")) for name in _COMMANDS]
        await _insistently(partial(bot.set_my_commands, menu, language_code=language))
        if language == DEFAULT:
            await _insistently(partial(bot.set_my_commands, menu))


async def _insistently(call: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await call()
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise
        except TelegramAPIError as error:
            log.warning("telegram did not take a setting; trying again", cause=type(error).__name__)
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _say_ready() -> None:
    """`orchestrator up` waits for this file."""
    if name := os.environ.get("ORCHESTRATOR_BOT_READY_FILE"):
        Path(name).touch(mode=0o600)


def _bad_token(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.SETTINGS_INVALID, message)
