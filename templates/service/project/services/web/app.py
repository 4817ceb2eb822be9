"""All pages: `/` and those of each kind of thing. They work without scripts."""

import importlib
import pkgutil

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.web import pages
from services.web.forms import refuse_other_sites
from services.web.resource import Resource, templates


def resources() -> list[Resource]:
    """The RESOURCE of every module in `pages`."""
    names = sorted(module.name for module in pkgutil.iter_modules(pages.__path__))
    return [importlib.import_module(f"{pages.__name__}.{name}").RESOURCE for name in names]


def create_router() -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(refuse_other_sites)])
    router.add_api_route("/", home, response_class=HTMLResponse)
    for resource in resources():
        router.include_router(resource.router())
    return router


def home(request: Request) -> HTMLResponse:
    return templates.TemplateResponse(request, "home.html", {"resources": resources()})
