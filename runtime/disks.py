"""The disks that an installation writes to, and how much is left on each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contracts.errors import ErrorCode, OrchestratorError
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings

LOW_MB = 2_000
FULL_MB = 300
"""Below this PostgreSQL and Temporal's database stop soon: both write ahead in files of 16 MB and more."""
_FEW_FILES = 1_000


@dataclass(frozen=True)
class Disk:
    """`name` lists what is on it; `path` is a place on it. A disk without room for names of files is full, too."""

    name: str
    path: Path
    free_mb: int
    total_mb: int
    state: Literal["ok", "low", "full"]


def disks(settings: Settings) -> list[Disk]:
    """Each disk once, with everything of ours that is on it. Blocks for as long as a disk does not answer."""
    found: dict[int, list[tuple[str, Path]]] = {}
    for name, path in _places(settings):
        place = next((one for one in (path, *path.parents) if one.exists()), None)
        if place is not None:
            found.setdefault(place.stat().st_dev, []).append((name, place))
    return [_disk(places) for places in found.values()]


def is_full(path: Path) -> bool:
    """Whether the disk with this directory has no room."""
    return _disk([("", path)]).state == "full"


def no_room(where: object = None) -> OrchestratorError:
    """The error for a disk of this machine on which there is no room to write; the step waits for it."""
    which = f" with {where}" if where else " of the platform"
    return OrchestratorError.transient(
        ErrorCode.ARTIFACT_DISK_FULL,
        f"The disk{which} is full. Free some space; the work then continues by itself. `orchestrator doctor` shows "
        "the disks and what uses them.",
    )


def _places(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "home", settings.home
    if settings.database_url is None:
        yield "PostgreSQL", settings.postgres_dir
    yield "Temporal", settings.temporal_db_file.parent
    yield "repositories", settings.forge_dir
    yield "artifacts", settings.artifacts_dir
    yield "agents", settings.agents_dir
    yield "services", settings.services_dir
    report = RuntimeReport.read(settings.runtime_report_file)
    if report is not None and report.docker_root:
        root = Path(report.docker_root)
        # An engine elsewhere has its directory elsewhere.
        if _exists(root):
            yield "Docker", root
    yield "temporary files", Path(tempfile.gettempdir())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _disk(places: list[tuple[str, Path]]) -> Disk:
    names = [name for name, _ in places]
    if names[0] == "home":
        # What is below the home needs a name only where it has a disk of its own.
        names = [name for name in names if name in {"home", "Docker"}]
    path = places[0][1]
    facts = os.statvfs(path)
    free_mb, total_mb = (count * facts.f_frsize // 1_000_000 for count in (facts.f_bavail, facts.f_blocks))
    without_names = facts.f_files > 0 and facts.f_favail < _FEW_FILES
    return Disk(", ".join(names), path, free_mb, total_mb, _state(free_mb, total_mb, without_names=without_names))


def _state(free_mb: int, total_mb: int, *, without_names: bool) -> Literal["ok", "low", "full"]:
    """A small disk, as a /tmp in memory often is, is judged by its own size."""
    if without_names or free_mb < max(1, min(FULL_MB, total_mb // 20)):
        return "full"
    return "low" if free_mb < min(LOW_MB, total_mb // 5) else "ok"
