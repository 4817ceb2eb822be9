"""What every handler works with; made once, handed over by the dispatcher."""

from dataclasses import dataclass

from bot.post import Post
from bot.screens import Screens
from runtime.chat_client import ChatApi


@dataclass(frozen=True)
class Desk:
    """`api` is the bot's own; a person's is in `Person.api`."""

    bot_id: int
    bot_name: str
    api: ChatApi
    post: Post
    screens: Screens
