"""Which methods an address has. A route knows only its own, and another route may answer another method."""

from collections.abc import Iterable, Iterator

from fastapi import Request
from starlette.routing import BaseRoute, Route


def allowed(request: Request) -> str:
    """The value of an `Allow` header: the methods of all routes with the address of this request."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    routes = [route for route in _flat(request.app.router.routes) if route.path_regex.match(path)]
    return ", ".join(sorted(set().union(*(route.methods or () for route in routes))))


def _flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """All routes; FastAPI keeps those of an included router in the router."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from _flat(getattr(getattr(route, "original_router", None), "routes", ()))
