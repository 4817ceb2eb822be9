"""Servers: how they are reached, and those that are containers of this machine."""
