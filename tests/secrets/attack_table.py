"""What may be reached from inside, as docs/security.md tells people: the attacks are judged by that table."""

import json
import re
from pathlib import Path
from typing import Any

from tests.secrets import attack_machine, attack_network

SCRIPTS = tuple(Path(str(script.__file__)) for script in (attack_machine, attack_network))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security.md"
PLACES = (("process", "service"), ("process", "turn"), ("docker", "service"), ("docker", "turn"), ("docker", "model"))
"""The columns after the first, by runtime and by who attacks; the last is a real agent that follows a model."""
_HEAD = (
    "| Attempt | Processes: service | Processes: turn | Containers: service | Containers: turn "
    "| Containers: turn of Claude Code |"
)
REACHED, AS_THE_MACHINE = "**yes**", "**as the machine**"
"""Begin the cells of what is reached, and of what depends on the machine's own network."""

Told = dict[str, Any]


def names() -> set[str]:
    """Every attempt, by the name that it has in the table."""
    nobody: Told = {
        "home": "", "host": "", "key": "", "mark": "", "secret": "", "links": [], "programs": [],
        "ports": dict.fromkeys(("api", "ui", "temporal", "postgres", "open", "models"), 0),
        "victim": {"id": "", "slug": "", "task": "", "owner": "", "port": 0, "source": [], "data": [], "locks": [],
                   "private": [], "workers": []},
    }  # fmt: skip
    return {name for script in (attack_machine, attack_network) for name in script.attempts(nobody)}


def table() -> dict[str, dict[tuple[str, str], str]]:
    """The cells of the table, by attempt and column."""
    _, _, after = DOCUMENT.read_text().partition(f"{_HEAD}\n")
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for line in after.splitlines()[1:]:
        if not line.startswith("|"):
            break
        attempt, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[attempt] = dict(zip(PLACES, cells, strict=True))
    return rows


def faults(runtime: str, place: str, answers: dict[str, str]) -> list[str]:
    """Where an answer is not what the table says."""
    cells = {attempt: row[runtime, place] for attempt, row in table().items()}
    found = [f"not tried: {attempt}" for attempt in sorted(cells.keys() - answers.keys())]
    for attempt, answer in answers.items():
        cell, got = cells.get(attempt, ""), answer.startswith("got")
        if not cell.startswith(AS_THE_MACHINE) and got != cell.startswith(REACHED):
            found.append(f"{attempt}: {answer}, and the table says {cell!r}")
    return found


def is_short(cell: str) -> bool:
    """Whether a cell says what happens, in words that are checked."""
    return bool(re.fullmatch(rf"{re.escape(REACHED)}.*|{re.escape(AS_THE_MACHINE)}.*|no: .+", cell))


def as_argument(told: Told) -> str:
    return json.dumps(told)
