"""One file per handler with a `router`, found by `modules()`.

A command's file also says its COMMAND and DESCRIPTION, which /help shows. LAST = True puts a
handler behind all others.
"""

import importlib
import pkgutil
from types import ModuleType


def modules() -> list[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return sorted(found, key=lambda module: getattr(module, "LAST", False))
