"""The local forge of a home, for tests that look at repositories from outside."""

from pathlib import Path

from activities.adapters.forge.local import LocalBareForge
from activities.adapters.forge.paths import ForgePaths
from activities.adapters.forge.scaffold import CopierScaffolder

_SCAFFOLDER = CopierScaffolder()


def forge_of(home: Path) -> LocalBareForge:
    return LocalBareForge(home / "forge", _SCAFFOLDER)


def repository_of(home: Path, repository: str) -> Path:
    """The bare repository of `org/name`."""
    return forge_of(home).mirror(repository).directory


def lock_of(home: Path, repository: str) -> Path:
    """Held by whoever changes the repository."""
    return ForgePaths(home / "forge").lock(repository)
