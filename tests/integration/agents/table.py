"""`python -m tests.integration.agents.table REPORT… [--write]`: the tables of docs/agents.md, from what the suite saw.

python -m pytest tests/integration/agents -m deep -o junit_family=xunit1 --junitxml=build/agents.xml
python -m tests.integration.agents.table build/agents.xml --write
"""

from __future__ import annotations

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "agents.md"
BEGIN, END = "<!-- seen by tests/integration/agents -->", "<!-- end of what was seen -->"
_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")

Noted = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the tables of docs/agents.md")
    arguments = parser.parse_args()
    endings, costs = (
        [note for report in arguments.reports for note in notes(report, name)] for name in ("conformance", "cost")
    )
    text = tables(endings, costs)
    if arguments.write:
        write(text)
    else:
        sys.stdout.write(text)
    return 0


def notes(report: Path, name: str) -> list[Noted]:
    """What the tests of a JUnit report have noted under a name."""
    found = ElementTree.parse(report).iter("property")
    return [json.loads(one.attrib["value"]) for one in found if one.attrib["name"] == name]


def tables(endings: list[Noted], costs: list[Noted]) -> str:
    """How turns ended, a row for each scenario; what was billed and what was admitted, a row for each agent."""
    return f"{_endings(endings)}\n{_costs(costs)}"


def write(text: str) -> None:
    """Put the tables between their marks; at the end of the page if it has none."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Agents\n"
    if BEGIN not in page:
        page += f"\n## What was seen\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _endings(noted: list[Noted]) -> str:
    ways = sorted({tuple(note["agent"]) for note in noted})
    ended = {(note["scenario"], tuple(note["agent"])): _ending(note) for note in noted}
    scenarios = list(dict.fromkeys(scenario for scenario, _ in ended))
    rows = [[scenario, *(ended.get((scenario, way), _missing(*way)) for way in ways)] for scenario in scenarios]
    return _table(["", *(f"{agent}, {runner}" for agent, runner in ways)], rows)


def _missing(agent: str, _: str) -> str:
    return "has no model" if agent == "scripted" else "not run"


def _ending(note: Noted) -> str:
    """For the platform, and what the wrapper saw where that is another word; what the model was asked."""
    words = [note["status"], *([note["limit"]] if note["limit"] else [])]
    said = note["ended"].removeprefix("failed ")
    told = {"done": "completed", "begun anew": "session_unknown", "stopped": "stopped cancelled"}.get(note["status"])
    shown = ": ".join(words) + ("" if said == told else f" ({said})")
    if not note["work"]:
        return shown
    asked = f"{note['work']} request{'' if note['work'] == 1 else 's'}"
    return f"{shown}; {asked}, the last {note['last']}"


def _costs(noted: list[Noted]) -> str:
    rows = []
    for note in sorted(noted, key=lambda one: one["agent"]):
        counts = [
            " / ".join(str(found.get(name, "–")) for name in _TOKENS) for found in (note["billed"], note["claims"])
        ]
        uses = note["spent"]["by_model"]
        known = "" if all(use["price_known"] for use in uses) else ", price unknown"
        claimed = note["claims"].get("cost_usd")
        rows.append([
            ", ".join(note["agent"]),
            ", ".join(use["model"] for use in uses),
            str(note["billed"]["requests"]),
            *counts,
            f"${note['spent']['cost_usd']:.4f}{known}",
            "–" if claimed is None else f"${claimed:.4f}",
        ])  # fmt: skip
    tokens = "input / read from cache / written to cache / output"
    heads = [
        "",
        "models",
        "requests",
        f"billed = counted by the proxy: {tokens}",
        "the agent admits",
        "cost",
        "it says",
    ]
    return _table(heads, rows)


def _counted(found: Noted) -> str:
    return " / ".join(str(found.get(name, "–")) for name in _TOKENS)


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
