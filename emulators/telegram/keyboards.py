"""The rules of inline keyboards."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from emulators.telegram.errors import bad_request

_MOST_BUTTONS = 100
_MOST_DATA_BYTES = 64


@dataclass(frozen=True)
class Button:
    """`data` is the callback data; a button with a `url` has none."""

    text: str
    data: str | None = None
    url: str | None = None

    def document(self) -> dict[str, Any]:
        fields = {"text": self.text, "callback_data": self.data, "url": self.url}
        return {name: value for name, value in fields.items() if value is not None}


Keyboard = tuple[tuple[Button, ...], ...]


def checked(markup: object) -> Keyboard:
    """The keyboard; empty for none. Raises ApiError for what Telegram refuses, and for other kinds of markup."""
    if markup is None:
        return ()
    if not isinstance(markup, InlineKeyboardMarkup):
        raise bad_request(f"EMULATOR: {type(markup).__name__} is not supported, only inline keyboards")
    rows = tuple(tuple(_button(button) for button in row) for row in markup.inline_keyboard if row)
    if sum(len(row) for row in rows) > _MOST_BUTTONS:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    return rows


def document(keyboard: Keyboard) -> dict[str, Any]:
    return {"inline_keyboard": [[button.document() for button in row] for row in keyboard]}


def _button(button: InlineKeyboardButton) -> Button:
    kinds = button.model_dump(exclude_none=True, exclude={"text", "style", "icon_custom_emoji_id"})
    if not button.text.strip():
        raise bad_request("can't parse inline keyboard button: text must be non-empty")
    if not kinds:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(kinds) > 1 or not kinds.keys() <= {"callback_data", "url"}:
        raise bad_request(f"EMULATOR: a button has one of callback_data and url, not {', '.join(sorted(kinds))}")
    if button.url is not None:
        return Button(button.text, url=_url(button.url))
    data = button.callback_data or ""
    if not 1 <= len(data.encode()) <= _MOST_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return Button(button.text, data=data)


def _url(url: str) -> str:
    found = urlparse(url)
    if found.scheme not in {"http", "https", "tg"} or "." not in (found.hostname or ""):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
    return url
