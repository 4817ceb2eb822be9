"""A wish: written down first, then acknowledged and carried out by its journey."""

from aiogram.types import Message

from bot import naming
from bot.desk import Desk
from bot.people import Person
from contracts.chat import ChatScreenOpen


async def wish(desk: Desk, person: Person, message: Message, update_id: int, text: str) -> None:
    """Open the screen of a wish. Once it is written down, the update may be forgotten; repeated, it finds it again."""
    screen = await desk.api.open_screen(
        naming.screen_id(desk.bot_id, update_id),
        ChatScreenOpen(
            bot_id=desk.bot_id,
            chat_id=message.chat.id,
            user_id=person.user_id,
            language=person.texts.language,
            wish=text.strip(),
        ),
    )
    desk.screens.open(screen)
