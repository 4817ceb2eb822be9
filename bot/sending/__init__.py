"""Calls to the Bot API, rate-limited and retried."""
