"""The Telegram bot.

Packages, each importing only those below it:

- `receiving`: updates from long polling or a webhook; `routers`: handlers for messages, commands and buttons
- `conversation`: who is writing and what they mean
- `tasks`: starts the work and keeps one message per task up to date
- `sending`: calls to the Bot API, rate-limited and retried
- `rendering`: text and keyboards of a message
- `texts`: everything the bot says, in every language
"""
