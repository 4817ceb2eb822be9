"""Wires the bot together and runs it."""

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

from bot.conversation.context import BotContext
from bot.dispatcher import build_dispatcher
from bot.receiving import webhook
from bot.receiving.inbox import ALLOWED_UPDATES, Inbox
from bot.receiving.polling import poll
from bot.sending.client import connect
from bot.sending.rate_limiter import RateLimiter
from bot.sending.sender import Sender
from bot.tasks.retries import retry_while_unavailable
from bot.tasks.start_limiter import StartLimiter
from bot.tasks.task_messages import TaskMessages
from bot.texts import DEFAULT, LANGUAGES, texts
from contracts.errors import ErrorCode, OrchestratorError
from runtime import private_files
from runtime.chat_client import ChatApi
from runtime.observability.logging import register_secret
from runtime.settings import Settings

_API_TIMEOUT_S = 25.0
_RETRY_S = 3.0
_COMMANDS = ("new", "projects", "tasks", "status", "cost", "memory", "cancel", "language", "help")

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run until cancelled. Raises OrchestratorError if the token is missing, malformed or refused."""
    token = read_token(settings)
    key = private_files.read(settings.bot_key_file).strip()
    bot = connect(token, settings.bot_api_url)
    async with bot.session, ChatApi(settings.api_url, key, timeout_s=_API_TIMEOUT_S, max_connections=None) as api:
        me = await _get_me(bot)
        sender = Sender(bot, RateLimiter())
        start_limiter = StartLimiter()
        task_messages = TaskMessages(api, sender, start_limiter)
        context = BotContext(bot_id=me.id, api=api, sender=sender, task_messages=task_messages)
        inbox = Inbox(bot, build_dispatcher(context), sender, start_limiter)
        try:
            resumed = await retry_while_unavailable(lambda: task_messages.resume(me.id))
            log.info("the bot is ready", bot=me.username, resumed=resumed)
            await _receive(settings, bot, inbox)
        finally:
            await task_messages.close()


def read_token(settings: Settings) -> str:
    """The token from the environment or a private file. It is registered as a secret, so that no log shows it."""
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
        raise _bad_token("The bot token is malformed. @BotFather shows it as 123456:ABC…") from None
    return token


async def _get_me(bot: Bot) -> User:
    """The bot's own account; retries until Telegram can be reached."""
    while True:
        try:
            # `me` caches the account, which aiogram needs for each command that names a bot.
            return await bot.me()
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise _bad_token("Telegram does not know this bot token. Ask @BotFather for a valid one.") from None
        except TelegramAPIError as error:
            log.warning("telegram cannot be reached; trying again", cause=type(error).__name__)
        await asyncio.sleep(_RETRY_S)


async def _receive(settings: Settings, bot: Bot, inbox: Inbox) -> None:
    setting_commands = asyncio.create_task(_set_commands(bot))
    try:
        if settings.bot_webhook_url:
            await _receive_by_webhook(settings, bot, inbox, settings.bot_webhook_url)
        else:
            await _until_accepted(lambda: bot.delete_webhook())
            _write_ready_file()
            await poll(bot, inbox)
    finally:
        setting_commands.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await setting_commands


async def _receive_by_webhook(settings: Settings, bot: Bot, inbox: Inbox, url: str) -> None:
    secret = private_files.read_or_create(settings.bot_webhook_secret_path)
    register_secret(secret)
    async with webhook.listening(
        bot, inbox, url=url, secret=secret, host=settings.bot_webhook_host, port=settings.bot_webhook_port
    ) as address:
        log.info("listening for updates", address=address)
        await _until_accepted(lambda: bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED_UPDATES))
        _write_ready_file()
        await asyncio.Event().wait()


async def _set_commands(bot: Bot) -> None:
    """Set the command menu in each language. English is the default for all others."""
    for language in LANGUAGES:
        menu = [BotCommand(command=name, description=texts(language).plain(f"command-{name}")) for name in _COMMANDS]
        await _until_accepted(partial(bot.set_my_commands, menu, language_code=language))
        if language == DEFAULT:
            await _until_accepted(partial(bot.set_my_commands, menu))


async def _until_accepted(call: Callable[[], Awaitable[object]]) -> None:
    """Repeat a call until Telegram accepts it. Raises TelegramUnauthorizedError and TelegramNotFound."""
    while True:
        try:
            await call()
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise
        except TelegramAPIError as error:
            log.warning("telegram did not accept a setting; trying again", cause=type(error).__name__)
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _write_ready_file() -> None:
    """`orchestrator up` waits for this file."""
    if name := os.environ.get("ORCHESTRATOR_BOT_READY_FILE"):
        Path(name).touch(mode=0o600)


def _bad_token(message: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.SETTINGS_INVALID, message)
