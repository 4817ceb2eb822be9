"""Adapters against the real outside.

More than 15 modules because a file tests one adapter or one contract of two.
"""
