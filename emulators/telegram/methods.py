"""The emulated methods. All others are refused with status 501."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import methods as known
from aiogram.methods import TelegramMethod
from aiogram.types import BufferedInputFile, ReplyParameters

from emulators.telegram import html, keyboards
from emulators.telegram.errors import ApiError, bad_request
from emulators.telegram.parameters import plain
from emulators.telegram.telegram import Reply, Telegram

_COMMAND = re.compile(r"[a-z0-9_]{1,32}\Z")
_LANGUAGE = re.compile(r"([a-z]{2})?\Z")
_MOST_COMMANDS = 100
_MOST_ANSWER = 200
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff")
_ACTIONS = {"typing", "upload_photo", "upload_document", "find_location", "choose_sticker", "record_voice"}

Result = Any


async def call(telegram: Telegram, method: TelegramMethod[Any]) -> Result:
    """Run a call and return its result. Raises ApiError."""
    handler = HANDLERS.get(type(method).__api_method__)
    if handler is None:
        raise ApiError(501, f"EMULATOR: {type(method).__api_method__} is a real method that is not emulated")
    return await handler(telegram, method)


async def _get_me(telegram: Telegram, _method: known.GetMe) -> Result:
    return {
        **telegram.bot,
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
    }


async def _get_updates(telegram: Telegram, method: known.GetUpdates) -> Result:
    telegram.updates.allow(method.allowed_updates)
    limit = 100 if method.limit is None else method.limit
    return await telegram.updates.poll(method.offset or 0, limit, max(0, method.timeout or 0))


async def _set_webhook(telegram: Telegram, method: known.SetWebhook) -> Result:
    telegram.updates.allow(method.allowed_updates)
    telegram.webhook.set(method.url, method.secret_token or "", method.max_connections or 40)
    if method.drop_pending_updates:
        telegram.updates.drop_pending()
    return True


async def _delete_webhook(telegram: Telegram, method: known.DeleteWebhook) -> Result:
    telegram.webhook.remove()
    if method.drop_pending_updates:
        telegram.updates.drop_pending()
    return True


async def _get_webhook_info(telegram: Telegram, _method: known.GetWebhookInfo) -> Result:
    return telegram.webhook.info()


async def _send_message(telegram: Telegram, method: known.SendMessage) -> Result:
    text, entities = _formatted(method.text, method.parse_mode, method.entities)
    keyboard = keyboards.checked(method.reply_markup)
    sent = telegram.send(method.chat_id, text, entities, keyboard, _reply(method.reply_parameters))
    return telegram.document(int(method.chat_id), sent)


async def _send_photo(telegram: Telegram, method: known.SendPhoto) -> Result:
    caption, entities = _formatted(method.caption or "", plain(method.parse_mode), method.caption_entities)
    if not isinstance(method.photo, BufferedInputFile):
        raise bad_request("EMULATOR: a photo is uploaded, neither a file_id nor an address is supported")
    if not method.photo.data.startswith(_PICTURES):
        raise bad_request("IMAGE_PROCESS_FAILED")
    reply = _reply(method.reply_parameters)
    sent = telegram.send_photo(method.chat_id, method.photo.data, caption, entities, reply)
    return telegram.document(int(method.chat_id), sent)


async def _edit_message_text(telegram: Telegram, method: known.EditMessageText) -> Result:
    chat_id, message_id = _target(method.chat_id, method.message_id)
    text, entities = _formatted(method.text or "", method.parse_mode, method.entities)
    edited = telegram.edit(chat_id, message_id, text, entities, keyboards.checked(method.reply_markup))
    return telegram.document(int(chat_id), edited)


async def _edit_message_reply_markup(telegram: Telegram, method: known.EditMessageReplyMarkup) -> Result:
    chat_id, message_id = _target(method.chat_id, method.message_id)
    edited = telegram.edit_keyboard(chat_id, message_id, keyboards.checked(method.reply_markup))
    return telegram.document(int(chat_id), edited)


async def _delete_message(telegram: Telegram, method: known.DeleteMessage) -> Result:
    telegram.delete(method.chat_id, method.message_id)
    return True


async def _answer_callback_query(telegram: Telegram, method: known.AnswerCallbackQuery) -> Result:
    if len(method.text or "") > _MOST_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    telegram.answer(method.callback_query_id, {"text": method.text or "", "show_alert": bool(method.show_alert)})
    return True


async def _send_chat_action(telegram: Telegram, method: known.SendChatAction) -> Result:
    if method.action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    telegram.acted(method.chat_id, method.action)
    return True


async def _set_my_commands(telegram: Telegram, method: known.SetMyCommands) -> Result:
    if len(method.commands) > _MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in method.commands:
        if not _COMMAND.match(command.command):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command.description) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    telegram.commands[_scope(method)] = [command.model_dump(exclude_none=True) for command in method.commands]
    return True


async def _get_my_commands(telegram: Telegram, method: known.GetMyCommands) -> Result:
    return telegram.commands.get(_scope(method), [])


def _scope(method: known.SetMyCommands | known.GetMyCommands) -> tuple[str, str]:
    language = method.language_code or ""
    if not _LANGUAGE.match(language):
        raise bad_request("LANGUAGE_CODE_INVALID")
    return (method.scope.model_dump_json(exclude_none=True) if method.scope else "default"), language


def _formatted(text: str, mode: object, entities: object) -> tuple[str, list[html.Entity]]:
    mode = plain(mode)
    if entities:
        raise bad_request("EMULATOR: entities are not supported, use parse_mode HTML")
    if mode is None:
        return text.strip(), []
    if str(mode).upper() != "HTML":
        raise bad_request(f"EMULATOR: parse_mode {mode} is not supported, only HTML")
    return html.parse(text)


def _reply(parameters: ReplyParameters | None) -> Reply | None:
    if parameters is None or parameters.message_id is None:
        return None
    return Reply(parameters.message_id, required=not plain(parameters.allow_sending_without_reply))


def _target(chat_id: int | str | None, message_id: int | None) -> tuple[int | str, int]:
    if chat_id is None:
        raise bad_request("chat_id is empty")
    if message_id is None:
        raise bad_request("message identifier is not specified")
    return chat_id, message_id


Handler = Callable[[Telegram, Any], Awaitable[Result]]

HANDLERS: dict[str, Handler] = {
    "getMe": _get_me,
    "getUpdates": _get_updates,
    "setWebhook": _set_webhook,
    "deleteWebhook": _delete_webhook,
    "getWebhookInfo": _get_webhook_info,
    "sendMessage": _send_message,
    "sendPhoto": _send_photo,
    "editMessageText": _edit_message_text,
    "editMessageReplyMarkup": _edit_message_reply_markup,
    "deleteMessage": _delete_message,
    "answerCallbackQuery": _answer_callback_query,
    "sendChatAction": _send_chat_action,
    "setMyCommands": _set_my_commands,
    "getMyCommands": _get_my_commands,
}
