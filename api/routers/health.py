"""Is it alive?"""

from typing import Literal

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.state import Platform, ThePlatform
from contracts.errors import OrchestratorError
from contracts.nouns import Health

router = APIRouter(tags=["platform"])


@router.get("/health")
@router.get("/healthz", include_in_schema=False)
async def health(platform: ThePlatform) -> Health:
    """Always answers; `degraded` says that the database or Temporal does not."""
    database, temporal = await _database(platform), await platform.gateway.reachable()
    status: Literal["ok", "degraded"] = "ok" if database and temporal else "degraded"
    return Health(status=status, version=platform.settings.version, database=database, temporal=temporal)


async def _database(platform: Platform) -> bool:
    try:
        async with platform.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, OrchestratorError):
        return False
    return True
