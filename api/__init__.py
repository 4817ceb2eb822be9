"""The HTTP API, and the model proxy beside it.

More than 15 modules because the tables and what every noun stands on are modules of their own below the nouns.
"""
