"""Builds the application: every module in `models` and `routes` is found by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.backend import database, models, routes
from services.backend.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database.prepare(settings.data_dir, models.tables())
        yield

    app = FastAPI(title=settings.app_name, version=settings.release_id, lifespan=lifespan)
    app.state.settings = settings
    for router in routes.routers():
        app.include_router(router)
    return app
