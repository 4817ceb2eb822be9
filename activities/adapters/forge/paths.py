"""Where the local forge keeps its repositories: the only module that turns a repository's name into a path.

Import rules make all other modules use a `Mirror`: code that knows paths works with only one kind of forge.
"""

from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError


@dataclass(frozen=True)
class ForgePaths:
    """`root` is the directory of the forge; only the platform reads there."""

    root: Path

    def repository(self, repository: str) -> Path:
        """The bare repository of `org/name`. Raises INVALID_INPUT for a name of another form."""
        org, _, name = repository.partition("/")
        if not (_is_plain(org) and _is_plain(name)):
            raise OrchestratorError(ErrorCode.INVALID_INPUT, "A repository's name must have the form org/name.")
        return self.root / org / f"{name}.git"

    @property
    def repositories(self) -> list[str]:
        """The names of all repositories, `org/name`."""
        return sorted(f"{path.parent.name}/{path.stem}" for path in self.root.glob("[!.]*/*.git"))

    @property
    def drafts(self) -> Path:
        """A directory for drafts, which are renamed when complete; on the same disk as the repositories."""
        return self.root / ".drafts"

    def lock(self, repository: str) -> Path:
        """Held by whoever changes the repository."""
        return self.root / ".locks" / f"{repository.replace('/', '__')}.lock"


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name
