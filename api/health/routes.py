"""Whether the API and what it needs are up."""

from typing import Literal

from fastapi import APIRouter

from api.database import EngineDep
from api.dependencies import SettingsDep
from api.gateway import GatewayDep
from api.health.queries import database_answers
from contracts.nouns import Health

router = APIRouter(tags=["platform"])


@router.get("/health")
@router.get("/healthz", include_in_schema=False)
async def health(engine: EngineDep, gateway: GatewayDep, settings: SettingsDep) -> Health:
    """Always answers; `degraded` says that the database or Temporal does not."""
    database, temporal = await database_answers(engine), await gateway.reachable()
    status: Literal["ok", "degraded"] = "ok" if database and temporal else "degraded"
    return Health(status=status, version=settings.version, database=database, temporal=temporal)
