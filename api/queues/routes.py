"""Task queues: who serves them, what waits in them, and what is wrong with them."""

from fastapi import APIRouter

from api.auth import Person
from api.queues.disks import DiskWatchDep
from api.queues.watch import QueueWatchDep
from contracts.nouns import QueueList

router = APIRouter(tags=["platform"])


@router.get("/queues")
async def list_queues(_caller: Person, queues: QueueWatchDep, disks: DiskWatchDep) -> QueueList:
    """The queues as of a few seconds ago, and every alert. Always answers, also while Temporal does not."""
    report = queues.report()
    return report.model_copy(update={"alerts": [*report.alerts, *await disks.alerts()]})
