"""What `make test` and `make test-deep` consist of: the table in `tests/budget.toml`."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "budget.toml"


@dataclass(frozen=True)
class Suite:
    """One row. `command` runs as it is; otherwise pytest runs `paths` with `options`. `budget_s` is in seconds, for a
    machine with two cores and nothing else to do."""

    name: str
    budget_s: float
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    select: str = ""
    """pytest's expression of markers."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_pytest(self) -> bool:
        return not self.command


@dataclass(frozen=True)
class Table:
    gate: tuple[Suite, ...]
    deep: tuple[Suite, ...]

    @classmethod
    def read(cls, file: Path = TABLE) -> "Table":
        """Raises ValueError for a row that cannot be run."""
        raw = tomllib.loads(file.read_text())
        return cls(_rows(raw["gate"], "not deep"), _rows(raw["deep"], "deep"))


def chosen(suites: Iterable[Suite], names: Iterable[str]) -> list[Suite]:
    """Those with these names, in the order of the table; all without a name. Raises ValueError for an unknown one."""
    suites, names = list(suites), list(names)
    unknown = set(names) - {suite.name for suite in suites}
    if unknown:
        known = ", ".join(suite.name for suite in suites)
        raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are {known}")
    return [suite for suite in suites if not names or suite.name in names]


def _rows(raw: dict[str, dict[str, Any]], select: str) -> tuple[Suite, ...]:
    return tuple(_row(name, row, select) for name, row in raw.items())


def _row(name: str, row: dict[str, Any], select: str) -> Suite:
    unknown = set(row) - {"budget_s", "paths", "options", "command", "select", "environment"}
    if unknown or bool(row.get("paths")) == bool(row.get("command")):
        raise ValueError(f"{name} needs either paths or a command, and may not have {sorted(unknown)}")
    return Suite(
        name,
        float(row["budget_s"]),
        tuple(row.get("paths", ())),
        tuple(row.get("options", "").split()),
        tuple(os.path.expandvars(row.get("command", "")).split()),
        row.get("select", select),
        row.get("environment", {}),
    )
