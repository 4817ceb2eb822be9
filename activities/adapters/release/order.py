"""What the release program is asked to do. Standard library only: servers read it, too."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.adapters.release.directory import ProjectPlace, claim_place


@dataclass(frozen=True)
class Order:
    """One project, and what to do for it. `environment` holds secret values, by service.

    `image` is the image recorded for the release, None if there is none. `backend` is
    what only one kind of services needs. Of the releases
    that were ever live, the `keep_releases` newest stay built; 0: all.
    """

    steps: list[str]
    project_id: str
    project_name: str
    services_dir: str = ""
    release_id: str = ""
    commit: str = ""
    previous: str | None = None
    image: str | None = None
    host: str = ""
    bind: str = "0.0.0.0"
    services: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    start_timeout_s: float = 30.0
    build_timeout_s: float = 1_700.0
    keep_releases: int = 0
    backend: dict[str, Any] = field(default_factory=dict)

    def place(self) -> ProjectPlace:
        return claim_place(Path(self.services_dir), self.project_id, self.project_name)
