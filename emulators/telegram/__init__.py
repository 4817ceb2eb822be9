"""An emulator of Telegram's Bot API: an HTTP server as strict as the original.

It ships with the product: `orchestrator demo --chat` and the tests use it. It knows nothing about our bot, and the bot
cannot tell it from Telegram.
"""
