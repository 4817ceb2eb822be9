"""One file per resource with a `router`, found by `routers()`."""

import importlib
import pkgutil

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").router for name in names]
