"""Builds the application: every module in `models` and `routes` is found by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.backend import database, models, routes
from services.backend.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database.prepare(settings.data_dir, models.tables())
        yield

    app = FastAPI(title=settings.app_name, version=settings.release_id, lifespan=lifespan)
    app.state.settings = settings
    app.add_exception_handler(RequestValidationError, refused)
    for router in routes.routers():
        app.include_router(router)
    return app


async def refused(request: Request, error: Exception) -> JSONResponse:
    """422 with the place and the reason; not the value, which need not fit into JSON."""
    assert isinstance(error, RequestValidationError)
    shown = ("type", "loc", "msg")
    detail = [{name: found[name] for name in shown} for found in error.errors()]
    return JSONResponse({"detail": detail}, status.HTTP_422_UNPROCESSABLE_CONTENT)
