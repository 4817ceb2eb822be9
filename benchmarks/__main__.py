"""`python -m benchmarks`: every benchmark, each in a process of its own, the quick ones first."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "history_size", "replay_speed", "projection_cost", "flow_overhead", "flow_rate", "sleeping_runs", "turn_start",
    "chat_acknowledgement", "worker_kill", "main_job_by_hand", "main_jobs",
)  # fmt: skip
_PAGES = {"worker_kill": "reliability.md"}
"""Sections that are on another page beside the one that is named."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="write NAME.json of each benchmark there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="renew the section of each benchmark there")
    options = parser.parse_args()
    if options.json:
        options.json.mkdir(parents=True, exist_ok=True)
    failed = [name for name in BENCHMARKS if _run(name, options) != 0]
    if failed:
        sys.stderr.write(f"These could not be measured: {', '.join(failed)}\n")
    return 1 if failed else 0


def _run(name: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    if options.json:
        command += ["--json", str(options.json / f"{name}.json")]
    if options.markdown:
        page = options.markdown.with_name(_PAGES.get(name, options.markdown.name))
        command += ["--markdown", str(page)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
