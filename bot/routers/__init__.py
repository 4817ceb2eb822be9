"""Handlers by role. Each does one quick thing; what takes time goes on in a screen's journey."""

from aiogram import Router

from bot.routers import admin, commands, guest, presses, words


def setup(root: Router) -> None:
    """Guests first: nothing below ever sees one."""
    for module in (guest, admin, commands, presses, words):
        root.include_router(module.make())
