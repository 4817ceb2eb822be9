"""For administrators: list people and grant access."""

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from bot.conversation.access import HasRole, Person
from bot.conversation.context import BotContext
from bot.rendering import views
from bot.rendering.views import View
from bot.texts import Markup
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import UserCreate
from contracts.states import Role

_MAX_USER_ID = 2**52
# A message holds 4096 characters.
_MAX_LISTED, _MAX_NAME = 40, 40


def make_router() -> Router:
    router = Router(name="admin")
    router.message.filter(HasRole(Role.ADMIN))
    router.message.register(_users, Command("users"))
    router.message.register(_allow, Command("allow"))
    return router


async def _users(message: Message, person: Person, context: BotContext) -> None:
    users = await person.api.users()
    lines = [
        person.texts(
            "user-line",
            user_id=str(user.user_id),
            role=person.texts.plain(f"role-{user.role.value}"),
            name=views.shorten(user.name, _MAX_NAME),
        )
        for user in users[:_MAX_LISTED]
    ]
    if len(users) > _MAX_LISTED:
        lines.append(person.texts("users-more", count=str(len(users) - _MAX_LISTED)))
    await context.sender.notify(message.chat.id, View(Markup("\n".join([person.texts("users-title"), *lines]))))


async def _allow(message: Message, command: CommandObject, person: Person, context: BotContext) -> None:
    """The API key of the new person is discarded: a chat does not need one."""
    arguments = (command.args or "").strip().partition(" ")
    if not arguments[0].isdecimal() or not 1 <= int(arguments[0]) <= _MAX_USER_ID:
        await context.sender.notify(message.chat.id, View(person.texts("allow-usage")))
        return
    text = "allow-done"
    try:
        await person.api.create_user(UserCreate(user_id=int(arguments[0]), name=arguments[2].strip()[:200]))
    except OrchestratorError as error:
        if error.code is not ErrorCode.ALREADY_EXISTS:
            raise
        text = "allow-known"
    await context.sender.notify(message.chat.id, View(person.texts(text, user_id=arguments[0])))
