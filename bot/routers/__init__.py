"""Handlers. Each one returns quickly; longer work continues in a task message."""

from aiogram import Router

from bot.routers import admin, callbacks, commands, messages, no_access


def setup(root: Router) -> None:
    """People without access come first, so no other handler ever sees their updates."""
    for module in (no_access, admin, commands, callbacks, messages):
        root.include_router(module.make_router())
