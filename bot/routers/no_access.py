"""People without access learn their own id and whom to ask."""

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message

from bot.conversation.access import HasRole, Person
from bot.conversation.context import BotContext
from bot.rendering.views import View


def make_router() -> Router:
    router = Router(name="no_access")
    router.message.filter(HasRole(None))
    router.callback_query.filter(HasRole(None))
    router.message.register(_send_id, (F.chat.type == "private") | F.text.startswith("/"))
    router.message.register(_ignore)
    router.callback_query.register(_refuse)
    return router


async def _send_id(message: Message, person: Person, context: BotContext) -> None:
    await context.sender.notify(message.chat.id, View(person.texts("guest", user_id=str(person.user_id))))


async def _ignore(_message: Message) -> None:
    """In a group, people talk to each other and not to the bot."""


async def _refuse(query: CallbackQuery, person: Person, context: BotContext) -> None:
    text = person.texts.plain("guest-alert", user_id=str(person.user_id))
    await context.sender.answer_callback(query.id, text, alert=True)
