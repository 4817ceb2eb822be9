"""A home that was restored from a backup: what knew where the old one was, and whom its files belonged to, is told.

Before anything is started or polled, once. It may be killed anywhere: the mark goes last.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from activities.adapters.packages.venv_cache import ensure_venv
from activities.adapters.release import directory, retention
from activities.adapters.release.directory import ProjectPlace
from activities.adapters.release.processes import REQUIREMENTS
from activities.adapters.runs.unprivileged import give
from activities.adapters.runs.users import UnprivilegedUsers
from activities.adapters.servers.container import LocalServers
from contracts.errors import OrchestratorError
from runtime import private_files
from runtime.backups.restoring import RESTORED_SERVERS
from runtime.backups.server_data import SUFFIX, put_server_data
from runtime.settings import Settings

log = structlog.get_logger(__name__)


async def settle(settings: Settings, *, in_containers: bool) -> None:
    """Nothing unless the home was restored. A project whose packages cannot be had now is tried at the next start, and
    data of servers waits for a start with containers.

    Raises OrchestratorError when a server cannot get the data of its services: nothing may be deployed there before.
    """
    archives = sorted((settings.home / RESTORED_SERVERS).glob(f"*{SUFFIX}"))
    if in_containers:
        await _fill_servers(settings, archives)
    elif archives:
        log.warning("data of services waits for a Docker Engine", archives=[str(one) for one in archives])
    if settings.restored_file.exists():
        await asyncio.to_thread(_settle, settings)


async def _fill_servers(settings: Settings, archives: list[Path]) -> None:
    """Servers in containers are made anew. A second try unpacks again what was interrupted: nothing runs there yet."""
    servers = LocalServers(settings.home)
    for archive in archives:
        await servers.access(archive.stem)
        await put_server_data(archive, servers.container(archive.stem))
        archive.unlink()
        log.info("a server has the data of its services again", server=archive.stem)


def _settle(settings: Settings) -> None:
    before = str(json.loads(settings.restored_file.read_text())["from_home"])
    users = UnprivilegedUsers(settings.home)
    whole = True
    for place in _places(settings.services_dir):
        try:
            _settle_project(settings, place, before, users)
        except OrchestratorError as error:
            whole = False
            log.warning("a restored project cannot be started yet", project=place.slug, reason=error.message)
    for files in ("workspaces", "homes"):
        for path in _directories(settings.agents_dir / files):
            give(path, users.for_owner(path.name))
    if whole:
        private_files.make_directory(settings.backups_dir)
        os.replace(settings.restored_file, settings.backups_dir / settings.restored_file.name)
    log.info("this home was restored from a backup", before=before)


def _settle_project(settings: Settings, place: ProjectPlace, before: str, users: UnprivilegedUsers) -> None:
    """Its current release gets its environment; older ones are built again from their commits when they are wanted."""
    current = directory.current_release(place)
    for release in _directories(place.root / "releases"):
        if release.name != current:
            retention.forget(release)
    user = users.for_owner(f"service-{place.project_id}")
    if place.data.is_dir():
        directory.make_data(place.data, user)
    directory.keep_private(place, user)
    manifest = directory.read_manifest(place, current) if current is not None else None
    venvs = settings.home / "caches" / "venvs"
    if current is None or manifest is None or Path(str(manifest["venv"])).parent == venvs:
        return
    requirements = place.release(current) / "app" / REQUIREMENTS
    venv = ensure_venv([requirements] if requirements.is_file() else [], venvs, sys.executable)
    moved = _replaced(_replaced(manifest, str(manifest["venv"]), str(venv)), f"{before}/", f"{settings.home}/")
    directory.finish_release(place, current, moved)


def _replaced(value: Any, before: str, now: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.replace(before, now) if before else value
    if isinstance(value, dict):
        return {name: _replaced(one, before, now) for name, one in value.items()}
    return [_replaced(one, before, now) for one in value] if isinstance(value, list) else value


def _places(services: Path) -> list[ProjectPlace]:
    return [ProjectPlace(path.parent) for path in sorted(services.glob("[!.]*/.project"))]


def _directories(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from (path for path in sorted(parent.iterdir()) if path.is_dir() and not path.name.startswith("."))
