"""A new wish: recorded by the handler, then started and followed by its task message."""

from aiogram.types import Message

from bot.conversation.access import Person
from bot.conversation.context import BotContext
from bot.tasks import naming
from contracts.chat import ChatScreenOpen


async def accept_wish(
    context: BotContext, person: Person, message: Message, update_id: int, text: str, screen_id: str | None = None
) -> None:
    """Record the wish as a screen. After that the update is no longer needed; if it comes again, it finds the screen.

    Raises OrchestratorError CONFLICT if the update meant something else the first time.
    """
    screen = await context.api.open_screen(
        screen_id or naming.screen_id(context.bot_id, update_id),
        ChatScreenOpen(
            bot_id=context.bot_id,
            chat_id=message.chat.id,
            user_id=person.user_id,
            language=person.texts.language,
            wish=text.strip(),
        ),
    )
    context.task_messages.open(screen)
