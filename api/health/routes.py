"""Whether the API and what it needs are up."""

from typing import Literal

from fastapi import APIRouter

from api.database import EngineDep
from api.dependencies import SettingsDep
from api.gateway import GatewayDep
from api.health.queries import database_answers
from api.queues.disks import DiskWatchDep
from contracts.nouns import Health

router = APIRouter(tags=["platform"])


@router.get("/health")
@router.get("/healthz", include_in_schema=False)
async def health(engine: EngineDep, gateway: GatewayDep, settings: SettingsDep, disks: DiskWatchDep) -> Health:
    """Always answers; `degraded` says that the database or Temporal does not, or that a disk is full."""
    database, temporal, found = await database_answers(engine), await gateway.reachable(), await disks.look()
    well = database and temporal and not any(disk.state == "full" for disk in found)
    status: Literal["ok", "degraded"] = "ok" if well else "degraded"
    return Health(status=status, version=settings.version, database=database, temporal=temporal, disks=found)
