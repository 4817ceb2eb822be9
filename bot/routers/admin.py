"""For administrators: who has access."""

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from bot import views
from bot.desk import Desk
from bot.people import Is, Person
from bot.texts import Markup
from bot.views import View
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import UserCreate
from contracts.states import Role

_HIGHEST_ID = 2**52
_MOST, _LONGEST_NAME = 40, 40
"""A message has room for 4096 characters."""


def make() -> Router:
    router = Router(name="admin")
    router.message.filter(Is(Role.ADMIN))
    router.message.register(_users, Command("users"))
    router.message.register(_allow, Command("allow"))
    return router


async def _users(message: Message, person: Person, desk: Desk) -> None:
    users = await person.api.users()
    lines = [
        person.texts(
            "user-line",
            user_id=str(user.user_id),
            role=person.texts.plain(f"role-{user.role.value}"),
            name=views.short(user.name, _LONGEST_NAME),
        )
        for user in users[:_MOST]
    ]
    if len(users) > _MOST:
        lines.append(person.texts("users-more", count=str(len(users) - _MOST)))
    await desk.post.tell(message.chat.id, View(Markup("\n".join([person.texts("users-title"), *lines]))))


async def _allow(message: Message, command: CommandObject, person: Person, desk: Desk) -> None:
    """The key of the new person is made and thrown away: in a chat nobody needs one."""
    wanted = (command.args or "").strip().partition(" ")
    if not wanted[0].isdecimal() or not 1 <= int(wanted[0]) <= _HIGHEST_ID:
        await desk.post.tell(message.chat.id, View(person.texts("allow-usage")))
        return
    text = "allow-done"
    try:
        await person.api.create_user(UserCreate(user_id=int(wanted[0]), name=wanted[2].strip()[:200]))
    except OrchestratorError as error:
        if error.code is not ErrorCode.ALREADY_EXISTS:
            raise
        text = "allow-known"
    await desk.post.tell(message.chat.id, View(person.texts(text, user_id=wanted[0])))
