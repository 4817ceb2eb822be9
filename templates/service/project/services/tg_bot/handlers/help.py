"""Answers /help with the list of commands."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from services.tg_bot import handlers

COMMAND = "help"
DESCRIPTION = "shows this list"

router = Router(name=COMMAND)


@router.message(Command(COMMAND))
async def answer(message: Message) -> None:
    commands = [module for module in handlers.modules() if hasattr(module, "COMMAND")]
    lines = [f"/{module.COMMAND} - {module.DESCRIPTION}" for module in commands]
    await message.answer("\n".join(lines)[:4096])
