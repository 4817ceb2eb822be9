from tests.application import client, engine, settings

__all__ = ["client", "engine", "settings"]
