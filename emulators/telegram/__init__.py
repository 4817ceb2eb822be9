"""An emulator of Telegram's Bot API: a real HTTP server that is as strict as the real one.

It ships with the product: `orchestrator demo --chat` and the tests use it. It knows nothing about our bot, and the bot
cannot tell it from Telegram.
"""
