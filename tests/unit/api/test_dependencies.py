"""Routes ask for parts of the process by name; each name must be one that the process has."""

import inspect
from dataclasses import fields

from fastapi import FastAPI

from api.dependencies import part
from api.state import Platform
from tests.unit.api.test_openapi import app, routes

__all__ = ["app"]


def test_every_part_that_a_route_asks_for_is_one_that_the_process_has(app: FastAPI) -> None:
    made_by_part = part("").__qualname__
    asked, pending = set(), [route.dependant for route in routes(app)]
    while pending:
        dependant = pending.pop()
        pending.extend(dependant.dependencies)
        if dependant.call is not None and getattr(dependant.call, "__qualname__", "") == made_by_part:
            asked.add(inspect.getclosurevars(dependant.call).nonlocals["name"])
    assert {"settings", "gateway", "vault", "queues"} <= asked
    assert asked <= {field.name for field in fields(Platform)}
