"""Answers a text that nothing else answered."""

from aiogram import F, Router
from aiogram.types import Message

LAST = True

router = Router(name="unknown")


@router.message(F.text)
async def answer(message: Message) -> None:
    await message.answer("I do not know that. Send /help to see what I can do.")
