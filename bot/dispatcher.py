"""The dispatcher: access check first, then the routers."""

from aiogram import Dispatcher

from bot import routers
from bot.conversation.access import AccessMiddleware
from bot.conversation.context import BotContext


def build_dispatcher(context: BotContext) -> Dispatcher:
    """It keeps no state: the state of a conversation is in the platform."""
    dispatcher = Dispatcher(context=context, disable_fsm=True)
    access = AccessMiddleware(context.api, context.bot_id)
    dispatcher.message.outer_middleware(access)
    dispatcher.callback_query.outer_middleware(access)
    routers.setup(dispatcher)
    return dispatcher
