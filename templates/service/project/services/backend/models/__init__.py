"""One file per kind of thing: its pydantic models and its TABLE, found by `tables()`."""

import importlib
import pkgutil

from services.backend.database import Table


def tables() -> list[Table]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").TABLE for name in names]
