"""The platform's disks as the API's machine sees them, and since when one is full."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import structlog
from fastapi import Depends

from api.dependencies import part
from contracts.base import utc_now
from contracts.nouns import AlertDTO, DiskDTO
from runtime.disks import Disk, disks
from runtime.settings import Settings

log = structlog.get_logger(__name__)


class DiskWatch:
    """Looks when asked. `read` gives the disks; a disk that cannot be looked at in `_PATIENCE_S` is left out."""

    _PATIENCE_S = 2.0

    def __init__(self, read: Callable[[], list[Disk]]) -> None:
        self._read = read
        self._full_since: dict[str, datetime] = {}

    @classmethod
    def of(cls, settings: Settings) -> "DiskWatch":
        return cls(partial(disks, settings))

    async def look(self) -> list[DiskDTO]:
        """Each disk now; none when one does not answer."""
        try:
            async with asyncio.timeout(self._PATIENCE_S):
                found = await asyncio.to_thread(self._read)
        except (TimeoutError, OSError) as error:
            log.warning("the disks cannot be looked at", cause=type(error).__name__)
            return []
        full = {disk.name for disk in found if disk.state == "full"}
        for name in full - set(self._full_since):
            log.error("alert: a disk is full", alert="disk_full", disk=name)
            self._full_since[name] = utc_now()
        self._full_since = {name: since for name, since in self._full_since.items() if name in full}
        return [
            DiskDTO(name=disk.name, free_mb=disk.free_mb, total_mb=disk.total_mb, state=disk.state) for disk in found
        ]

    async def alerts(self) -> list[AlertDTO]:
        """An alert for each full disk."""
        found = {disk.name: disk for disk in await self.look()}
        return [
            _alert(disk, since) for name, since in self._full_since.items() if (disk := found.get(name)) is not None
        ]


DiskWatchDep = Annotated[DiskWatch, Depends(part("disks"))]


def _alert(disk: DiskDTO, since: datetime) -> AlertDTO:
    return AlertDTO(
        kind="disk_full",
        subject=disk.name,
        since=since,
        message=f"The disk with {disk.name} is full: {disk.free_mb} of {disk.total_mb} MB are free. Free some space "
        "(`orchestrator doctor` shows what uses it); work that waits for it then continues by itself.",
    )
