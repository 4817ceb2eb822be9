"""How work runs on this machine: Temporal workers write it when they start, `up` and `status` show it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime import private_files

Kind = Literal["containers", "processes"]
_ONLY = {"processes": "agents and tests", "containers": "services"}
"""What runs as processes when not all of it does, by how work runs."""


class RuntimeReport(BaseModel):
    """`work`: how agents and tests run; `reason`: why so. `services`: how new services run.

    `as_root`: why processes of agents, tests and services run as root; None if they do not. `docker_root`: where the
    engine keeps its images and containers; None if no engine was asked. `agent_images`: whether images of agents are
    there, in words, by agent.
    """

    model_config = ConfigDict(frozen=True)

    work: Kind
    services: Kind
    reason: str
    as_root: str | None = None
    docker_root: str | None = None
    agent_images: dict[str, str] = Field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace what an earlier start wrote."""
        private_files.make_directory(path.parent)
        private_files.replace(path, f"{self.model_dump_json()}\n")

    @classmethod
    def read(cls, path: Path) -> RuntimeReport | None:
        """None when no Temporal worker of this machine has started yet."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    @property
    def warning(self) -> str | None:
        """What a person must know who believes that work is held apart from the platform; None when it is."""
        if self.as_root is None or "processes" not in {self.work, self.services}:
            return None
        what = "agents, tests and services" if self.work == self.services else _ONLY[self.work]
        return f"{what} RUN AS ROOT: {self.as_root}"

    @property
    def shown(self) -> str:
        """The report in one line, for people."""
        if self.work == self.services:
            return f"{self.work} ({self.reason})"
        return f"{self.work} for agents and tests ({self.reason}), {self.services} for new services"
