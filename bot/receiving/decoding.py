"""Updates as Telegram sends them, decoded one by one: one that cannot be read must not stop all others."""

from dataclasses import dataclass, field
from typing import Any

import structlog
from aiogram import Bot
from aiogram.methods import TelegramMethod
from aiogram.types import Update
from pydantic import ValidationError

log = structlog.get_logger(__name__)


class GetRawUpdates(TelegramMethod[list[Any]]):
    """`getUpdates`, whose answer aiogram would decode as a whole."""

    __returning__ = list[Any]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int | None = None
    allowed_updates: list[str] | None = None


@dataclass
class Decoder:
    """`unreadable` counts the updates that were skipped since the bot started."""

    bot: Bot
    unreadable: int = field(default=0)

    def update(self, raw: object) -> Update | None:
        """The update, or None for one that cannot be read."""
        try:
            return Update.model_validate(raw, context={"bot": self.bot})
        except ValidationError as error:
            self.unreadable += 1
            # Without the values: they may repeat what people wrote.
            where = sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)})
            log.warning(
                "an update cannot be read and is skipped",
                update=update_id(raw),
                where=where[:5],
                skipped=self.unreadable,
            )
            return None


def update_id(raw: object) -> int | None:
    """The number of an update, even of one that cannot be read."""
    number = raw.get("update_id") if isinstance(raw, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None
