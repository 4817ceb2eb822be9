"""The dispatcher: who may, what for whom."""

from aiogram import Dispatcher

from bot import routers
from bot.desk import Desk
from bot.people import Access

ALLOWED_UPDATES = ["message", "callback_query"]


def build_dispatcher(desk: Desk) -> Dispatcher:
    """No state is kept in it: a conversation's state is what the platform knows."""
    dispatcher = Dispatcher(desk=desk, disable_fsm=True)
    access = Access(desk.api, desk.bot_id)
    dispatcher.message.outer_middleware(access)
    dispatcher.callback_query.outer_middleware(access)
    routers.setup(dispatcher)
    return dispatcher
