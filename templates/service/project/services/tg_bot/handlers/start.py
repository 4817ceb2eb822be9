"""Answers /start."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

COMMAND = "start"
DESCRIPTION = "says hello"
LINES = [
    "Hello! Send /help to see what I can do.",
]

router = Router(name=COMMAND)


@router.message(Command(COMMAND))
async def answer(message: Message) -> None:
    await message.answer("\n".join(LINES))
