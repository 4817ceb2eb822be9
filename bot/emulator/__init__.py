"""An emulator of Telegram's Bot API: a real HTTP server that is as strict as the real one.

It ships with the product: `orchestrator demo --chat` talks through it, and so do the tests. It knows nothing of our
bot, and the bot does not know whether it talks to it.
"""
