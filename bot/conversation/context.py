"""What every handler works with."""

from dataclasses import dataclass

from bot.sending.sender import Sender
from bot.tasks.task_messages import TaskMessages
from runtime.chat_client import ChatApi


@dataclass(frozen=True)
class BotContext:
    """The dispatcher passes it to handlers as `context`. `api` acts as the bot; `Person.api` acts as that person."""

    bot_id: int
    api: ChatApi
    sender: Sender
    task_messages: TaskMessages
