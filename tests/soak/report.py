"""What a soak run came to, as Markdown: for the screen, for a file, or for a marked place in a document."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.soak.plan import Result

BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"


def report_of(result: Result, day: datetime) -> str:
    """The two tables, with what is needed to read them."""
    plan = result.plan
    spared = [name for part, name in plan.known.items() if part not in plan.parts]
    lines = [
        f"{day:%d %B %Y}, seed {plan.seed}: {len(result.recoveries)} {plan.counted} in {result.minutes:.1f} minutes, "
        f"{plan.lanes} deliveries at once, {os.cpu_count()} cores, Python {platform.python_version()}, containers.",
        *([f"Not in this run: {'; '.join(spared)}."] if spared else []),
        "",
        f"| {plan.head} | p50 | p95 | max |",
        "|---|---|---|---|---|",
        *_recoveries(result),
        "",
        "| Deliveries | Lost | Doubled | Stuck | Orphans | Other differences |",
        "|---|---|---|---|---|---|",
        f"| {len(result.accounts)} | {result.lost} | {result.found('doubled')} | {result.stuck} | {result.orphans} "
        f"| {result.found('differs')} |",
        "",
        _durations(result),
    ]
    return "\n".join(lines) + "\n"


def write_report(text: str, file: Path, begin: str = BEGIN, end: str = END) -> None:
    """The whole file, or the part between the marks of a document that has them."""
    before = file.read_text() if file.exists() else ""
    if begin in before and end in before:
        head, tail = before.partition(begin)[0], before.partition(end)[2]
        text = f"{head}{begin}\n{text}{end}{tail}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _recoveries(result: Result) -> list[str]:
    rows = []
    for part, name in result.plan.known.items():
        seconds = [one.took_s for one in result.recoveries if one.part == part]
        if seconds:
            rows.append(f"| {name} | {len(seconds)} | {_spread(seconds)} |")
    return [*rows, f"| All | {len(result.recoveries)} | {_spread([one.took_s for one in result.recoveries])} |"]


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "- | - | -"
    return f"{statistics.median(seconds):.1f} s | {percentile(seconds, 95):.1f} s | {max(seconds):.1f} s"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that is at least as large as so many percent of them."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def _durations(result: Result) -> str:
    took = [account.took_s for account in result.accounts if account.delivery]
    if not took:
        return "No delivery was accepted."
    span = f"{statistics.median(took):.0f} s (p50), at most {max(took):.0f} s"
    return f"A delivery took {span}, {result.plan.counted} included.{_waits(result)}"


def _waits(result: Result) -> str:
    """Who waited for a person; only a plan that counts its deliveries has somebody who answers."""
    if not result.plan.deliveries:
        return ""
    waited = sum(bool(account.questions) for account in result.accounts)
    return f" {waited or 'None'} of them waited for a person meanwhile."
