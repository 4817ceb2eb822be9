"""Where the local forge keeps its repositories. The only module that makes a path of a repository's name.

Import rules hold everybody else to a `Mirror`: what knows paths works with one kind of forge only.
"""

from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError


@dataclass(frozen=True)
class ForgePaths:
    """`root` is the directory of the forge; only the platform reads there."""

    root: Path

    def repository(self, repository: str) -> Path:
        """The bare repository of `org/name`. Raises INVALID_INPUT for a name that is not plainly that."""
        org, _, name = repository.partition("/")
        if not (_is_plain(org) and _is_plain(name)):
            raise OrchestratorError(ErrorCode.INVALID_INPUT, "A repository's name has the form org/name.")
        return self.root / org / f"{name}.git"

    @property
    def drafts(self) -> Path:
        """For what is made aside and then renamed; on the same disk as the repositories."""
        return self.root / ".drafts"

    def lock(self, repository: str) -> Path:
        """Held by whoever changes the repository."""
        return self.root / ".locks" / f"{repository.replace('/', '__')}.lock"


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name
