"""Many random kills while deliveries are under way all the time; ends with the table of docs/reliability.md.

Run as `python -m tests.soak.run --kills 100 --minutes 22 --seed 1 --report FILE`. It is red when anything was
lost, doubled, stuck, orphaned or different, or when there was not time for all kills; it prints the seed.
"""

import argparse
import asyncio
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tests.chaos.conftest import container_platform, undisturbed
from tests.soak.plan import Account, Plan, Result, Say, Soak
from tests.soak.report import BEGIN, END, report_of, write_report
from tests.support.kills.killing import DOCKER, PARTS, spared_engine
from tests.support.kills.traces import Traces
from tests.support.services.container_service import no_engine

LOGS = Path("build", "soak")
_SHOWN = 30
"""Lines of the logs for each delivery with a finding."""


def teller(log: TextIO) -> Say:
    """Writes a line immediately to the screen and in the log, with the time."""

    def say(line: str) -> None:
        text = f"{datetime.now().astimezone():%H:%M:%S} {line}\n"
        sys.stdout.write(text)
        sys.stdout.flush()
        log.write(text)
        log.flush()

    return say


def parts_to_kill(say: Say) -> tuple[str, ...]:
    reason = spared_engine()
    if reason is not None:
        say(f"NOT TESTED: no kills of the Docker daemon: {reason}")
    return tuple(part for part in PARTS if part != DOCKER or reason is None)


async def soak(plan: Plan, say: Say) -> Result:
    say(f"seed {plan.seed}: {plan.kills} kills of {', '.join(plan.parts)}, {plan.lanes} deliveries at once")
    async with container_platform() as traces:
        say("one undisturbed delivery")
        unkilled = await undisturbed(traces)
        result = await Soak(traces, unkilled, plan, say).run()
        keep_logs(result, traces, LOGS / f"logs-of-seed-{plan.seed}")
    return result


def keep_logs(result: Result, traces: Traces, logs: Path) -> None:
    if not result.is_green:
        shutil.copytree(traces.stack.home / "logs", logs, dirs_exist_ok=True)


def write_down(result: Result, file: Path, say: Say, begin: str = BEGIN, end: str = END) -> None:
    say("deliveries:\n" + "\n".join(f"  {account.row}" for account in result.accounts))
    text = report_of(result, datetime.now().astimezone())
    write_report(text, file, begin, end)
    say(f"written to {file}:\n\n{text}")


def conclude(result: Result, logs: Path, say: Say) -> None:
    """The verdict and what it rests on, last: of a long output the end is what people are shown."""
    if result.is_green:
        say("green")
        return
    for account in result.accounts:
        if account.findings:
            said = "\n".join(f"    {line}" for line in what_the_logs_say(account, logs))
            say(f"{account.row}\n{said}")
    for stray in result.strays:
        say(f"orphan: {stray}")
    missing = result.plan.kills - len(result.recoveries)
    if missing > 0:
        say(f"{missing} {result.plan.counted} are missing: {result.plan.minutes:g} minutes were not enough")
    say(f"red; repeat it with: make soak CHAOS_SEED={result.plan.seed}. Logs: {LOGS}")


def what_the_logs_say(account: Account, logs: Path) -> list[str]:
    """What is logged about a delivery that went another way: second attempts, warnings, errors."""
    if account.delivery is None:
        return []
    one = account.delivery
    names = (one.task_id, one.engineering, one.deploy, one.release)
    lines = [line for file in sorted(logs.glob("*.log")) for line in file.read_text(errors="replace").splitlines()]
    mine = [line[:400] for line in lines if any(name in line for name in names)]
    return [line for line in mine if "[info " not in line or not re.search(r"\battempt=1\b", line)][-_SHOWN:]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=22.0, help="no kill after that (default: 22)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=LOGS / "report.md")
    options = parser.parse_args(arguments)
    if (obstacle := no_engine()) is not None:
        sys.stderr.write(f"NOT TESTED: the soak run needs containers: {obstacle}\n")
        return 1
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"seed-{options.seed}.log").open("w") as log:
        say = teller(log)
        plan = Plan(options.seed, parts_to_kill(say), options.kills, options.minutes)
        result = asyncio.run(soak(plan, say))
        write_down(result, options.report, say)
        conclude(result, LOGS / f"logs-of-seed-{options.seed}", say)
    return 0 if result.is_green else 1


if __name__ == "__main__":
    sys.exit(main())
