"""One file per kind of thing: what is sent, what is stored. Found by `load()`."""

import importlib
import pkgutil


def load() -> None:
    """Import all of them, so that `SQLModel.metadata` has every table."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
