"""Repeats a text that nothing else answered."""

from aiogram import F, Router
from aiogram.types import Message

LAST = True

router = Router(name="echo")


@router.message(F.text)
async def answer(message: Message) -> None:
    await message.answer(message.text or "")
