"""The dispatcher: access check first, then the routers."""

from aiogram import Dispatcher

from bot import routers
from bot.conversation.access import AccessMiddleware
from bot.conversation.context import BotContext


def build_dispatcher(context: BotContext) -> Dispatcher:
    """It keeps no state: the state of a conversation is in the platform."""
    dispatcher = Dispatcher(context=context, disable_fsm=True)
    access = AccessMiddleware(context.api, context.bot_id, context.task_messages)
    for observer in (dispatcher.message, dispatcher.callback_query, dispatcher.my_chat_member):
        observer.outer_middleware(access)
    routers.setup(dispatcher)
    return dispatcher
