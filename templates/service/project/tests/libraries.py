"""Imported by `make test` before lines are counted: then imports would take seconds longer."""

import contextlib
import importlib

LIBRARIES = ["aiogram", "alembic.autogenerate", "alembic.command", "fastapi.testclient", "sqlmodel"]

for name in LIBRARIES:
    # Each belongs to one of the modules that a project can have.
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
