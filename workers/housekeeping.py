"""What is kept on this machine, and for how long: the rules that `orchestrator doctor` shows beside what each uses."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from activities.adapters.containers.retention import prune_records
from activities.adapters.forge.local import LocalBareForge
from activities.adapters.packages.venv_cache import prune_venvs
from activities.adapters.process.retention import remove_homes
from activities.adapters.release.retention import environments_in_use, prune_releases
from activities.adapters.runs.supervisor import Supervisor
from activities.adapters.runs.users import UnprivilegedUsers
from activities.ports import Forge
from contracts.nouns import ArtifactFates
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings

log = structlog.get_logger(__name__)

_DAY_S = 86_400.0
_AT_ONCE = 1_000
_UNKNOWN_DAYS = 90
"""A workflow that waits for a person may know of artifacts of which the database has not heard yet."""
_EVERY_S = 3_600.0
_SERVICE = "svc-"
"""Runs of services belong to their releases."""


class ArtifactFate(Protocol):
    """Who knows which artifacts are still referred to: the API."""

    async def artifact_fates(self, hashes: list[str]) -> ArtifactFates: ...


@dataclass(frozen=True)
class Housekeeping:
    """Everything may be repeated, and may be killed anywhere."""

    settings: Settings
    forge: Forge
    api: ArtifactFate

    async def tidy(self) -> dict[str, list[str]]:
        """Apply every rule once; the names of what went, by kind. Releases first: they hold environments."""
        settings = self.settings
        before = time.time() - settings.keep_days * _DAY_S
        gone = {
            "releases": await asyncio.to_thread(prune_releases, settings.services_dir, settings.keep_releases),
            "environments": await asyncio.to_thread(self._environments, before),
            "runs": await asyncio.to_thread(self._runs, before),
            "container records": await asyncio.to_thread(prune_records, settings.containers_dir, before),
            "homes": await asyncio.to_thread(self._homes, before),
        }
        gone["artifacts"] = await self._artifacts()
        if isinstance(self.forge, LocalBareForge):
            gone["branches"] = await self.forge.prune_branches(datetime.fromtimestamp(before, UTC))
        return {kind: names for kind, names in gone.items() if names}

    async def tidy_regularly(self) -> None:
        """Every hour, for ever. What cannot be tidied now is tried again: it is no reason to stop working."""
        while True:
            try:
                if gone := await self.tidy():
                    log.info("tidied up", **{kind: len(names) for kind, names in gone.items()})
            except Exception:
                log.exception("could not tidy up")
            await asyncio.sleep(_EVERY_S)

    async def _artifacts(self) -> list[str]:
        """What every project has let expire, and what no task and no release has ever come to refer to."""
        store, now = DirectoryArtifactStore(self.settings.artifacts_dir), time.time()
        young = now - _DAY_S
        hashes = await asyncio.to_thread(store.older, young)
        gone: list[str] = []
        for start in range(0, len(hashes), _AT_ONCE):
            batch = hashes[start : start + _AT_ONCE]
            fates = await self.api.artifact_fates(batch)
            unknown = set(batch) - set(fates.kept) - set(fates.expired)
            gone += await asyncio.to_thread(_removed, store, fates.expired, young)
            gone += await asyncio.to_thread(_removed, store, sorted(unknown), now - _UNKNOWN_DAYS * _DAY_S)
        return gone

    def _environments(self, before: float) -> list[str]:
        in_use = environments_in_use(self.settings.services_dir)
        return prune_venvs(self.settings.home / "caches" / "venvs", before, in_use)

    def _runs(self, before: float) -> list[str]:
        return Supervisor(self.settings.runs_dir).prune(before, keep=lambda name: name.startswith(_SERVICE))

    def _homes(self, before: float) -> list[str]:
        agents = self.settings.agents_dir
        return remove_homes(agents / "homes", agents / "workspaces", before, UnprivilegedUsers(self.settings.home))


def _removed(store: DirectoryArtifactStore, hashes: list[str], before: float) -> list[str]:
    return [sha256 for sha256 in hashes if store.remove(sha256, before)]
