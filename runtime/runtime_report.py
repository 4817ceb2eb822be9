"""How work runs on this machine: Temporal workers write it when they start, `up` and `status` show it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime import private_files

Kind = Literal["containers", "processes"]


class RuntimeReport(BaseModel):
    """`work`: how agents and tests run; `reason`: why so. `services`: how new services run."""

    model_config = ConfigDict(frozen=True)

    work: Kind
    services: Kind
    reason: str

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
    def shown(self) -> str:
        """The report in one line, for people."""
        if self.work == self.services:
            return f"{self.work} ({self.reason})"
        return f"{self.work} for agents and tests ({self.reason}), {self.services} for new services"
