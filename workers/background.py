"""`python -m workers.background`: make sure that maintenance and the Schedules are there. May be repeated at any time.

Every start of a Temporal worker of the queue `orchestrator` does the same.
"""

import asyncio
import sys
from datetime import timedelta

from contracts.errors import OrchestratorError
from contracts.maintenance import MaintenancePlan
from runtime.keyring import KeyRing
from runtime.settings import Settings, load_settings
from runtime.temporal import background
from runtime.temporal import client as temporal_client


def plan_of(settings: Settings) -> MaintenancePlan:
    """A task is looked at in the second round that finds it silent."""
    return MaintenancePlan(every_s=settings.maintenance_every_s, silent_s=settings.maintenance_every_s)


def regular_of(settings: Settings) -> list[background.Regular]:
    """What runs at longer intervals. Backups where there is a repository for them, and one process sees everything."""
    if settings.backup_repository is None or settings.stack == "compose":
        return [*background.REGULAR]
    return [*background.REGULAR, background.backups(timedelta(hours=settings.backup_every_h))]


async def _ensure(settings: Settings) -> list[str]:
    keyring = KeyRing.load(settings.codec_key_file)
    client = await temporal_client.connect(settings, keyring=keyring, identity="background")
    return await background.ensure(client, plan_of(settings), regular_of(settings))


def main() -> int:
    try:
        there = asyncio.run(_ensure(load_settings()))
    except OrchestratorError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 1
    sys.stdout.write(f"These run without being asked: {', '.join(there)}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
