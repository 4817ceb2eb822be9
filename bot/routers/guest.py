"""Whoever the platform does not know: their own id, and whom to ask."""

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message

from bot.desk import Desk
from bot.people import Is, Person
from bot.views import View


def make() -> Router:
    router = Router(name="guest")
    router.message.filter(Is())
    router.callback_query.filter(Is())
    router.message.register(_tell_id, (F.chat.type == "private") | F.text.startswith("/"))
    router.message.register(_stay_silent)
    router.callback_query.register(_refuse)
    return router


async def _tell_id(message: Message, person: Person, desk: Desk) -> None:
    await desk.post.tell(message.chat.id, View(person.texts("guest", user_id=str(person.user_id))))


async def _stay_silent(_message: Message) -> None:
    """What people say in a group is not meant for the bot."""


async def _refuse(query: CallbackQuery, person: Person, desk: Desk) -> None:
    text = person.texts.plain("guest-alert", user_id=str(person.user_id))
    await desk.post.answer(query.id, text, alert=True)
