"""`make test-live`. Exit codes: 0 every agent has built the wish, 1 one has not, 2 nothing was run (it says why)."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from tests.live.report import report
from tests.live.run import run
from tests.live.selection import Refused, chosen

REPORT = Path("build", "live", "report.md")


def _say(line: str) -> None:
    sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S} {line}\n")
    sys.stdout.flush()


def main() -> int:
    try:
        live = chosen(os.environ)
        names = ", ".join(kind.value for kind in live.agents)
        _say(f"{names}: at most ${live.at_most_usd:g} will be spent, and what one request of each goes beyond it")
        with tempfile.TemporaryDirectory(prefix="live-") as directory:
            tried, upstreams = asyncio.run(run(live, Path(directory) / "home", _say))
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    text = report(live, tried, upstreams)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text)
    sys.stdout.write(f"\n{text}\nAlso in {REPORT}\n")
    return 0 if len(tried) == len(live.agents) and all(one.good for one in tried) else 1


if __name__ == "__main__":
    sys.exit(main())
