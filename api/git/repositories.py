"""The bare repositories of the local forge, as Git on this machine finds them."""

import asyncio
import os
import shutil
from pathlib import Path
from uuid import uuid4

import structlog

from runtime.settings import LOCAL_FORGE, Settings

log = structlog.get_logger(__name__)


def repository_dir(settings: Settings, repository: str) -> Path:
    """Where the local forge has `org/name`."""
    return settings.forge_dir / f"{repository}.git"


async def remove_repository(settings: Settings, repository: str) -> bool:
    """Remove a repository of the local forge with everything in it; False if that did not work. May be repeated."""
    if settings.forge != LOCAL_FORGE:
        return False
    try:
        await asyncio.to_thread(_remove, settings.forge_dir, repository_dir(settings, repository))
    except OSError as error:
        log.warning("a repository could not be removed", repository=repository, cause=str(error))
        return False
    return True


def _remove(forge: Path, repository: Path) -> None:
    if not os.path.lexists(repository):
        return
    # Gone at once for everybody else, also where removing its files takes time.
    aside = forge / ".removed" / uuid4().hex
    aside.parent.mkdir(mode=0o700, exist_ok=True)
    repository.rename(aside)
    shutil.rmtree(aside)
