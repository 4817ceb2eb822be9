"""The chat's long fault run, with its table: `python -m tests.soak.chat_run --faults 100 --seed 1`.

Red when a wish started no task or several, when a task has no final screen or several, or one in the wrong chat.
"""

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from emulators.telegram.telegram import Telegram
from tests.chaos.conftest import platform as running_platform
from tests.soak.chat import ChatSoak, Plan, Result, Say
from tests.soak.report import percentile, write_report
from tests.soak.run import LOGS, teller
from tests.support.people.chat import running_chat_system

BEGIN, END = "<!-- chat soak: begin -->", "<!-- chat soak: end -->"


async def soak(plan: Plan, say: Say) -> Result:
    say(f"seed {plan.seed}: {plan.faults} faults over {plan.conversations} conversations, {plan.at_once} at once")
    async with running_platform("process") as stack, running_chat_system(stack, Telegram()) as system:
        green = False
        try:
            result = await ChatSoak(system, plan, say).run()
            green = result.is_green
            return result
        finally:
            if not green:
                shutil.copytree(stack.home / "logs", LOGS / f"logs-of-chat-seed-{plan.seed}", dirs_exist_ok=True)


def report_of(result: Result, day: datetime) -> str:
    """Markdown: what was done to the conversations, and what came of them."""
    plan, talks = result.plan, result.conversations
    took = [one.took_s for one in talks]
    courses = Counter(one.course for one in talks)
    return "\n".join(
        [
            f"{day:%d %B %Y}, seed {plan.seed}: {result.faults.total()} faults over {len(talks)} conversations "
            f"({', '.join(f'{count} x {name}' for name, count in sorted(courses.items()))}) in "
            f"{result.minutes:.1f} minutes, {plan.at_once} at once, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, processes.",
            "",
            "| Fault | Times |",
            "|---|---|",
            *(f"| {name} | {count} |" for name, count in sorted(result.faults.items())),
            *(f"| {name}: planned, never met | {count} |" for name, count in sorted(result.missed.items())),
            "",
            "| Wishes | Lost | Doubled | In the wrong chat | Stuck | Other differences |",
            "|---|---|---|---|---|---|",
            f"| {len(talks)} | {result.found('lost')} | {result.found('doubled')} | {result.found('astray')} "
            f"| {result.found('stuck')} | {result.found('differs')} |",
            "",
            f"A conversation took {statistics.median(took):.0f} s (p50), {percentile(took, 95):.0f} s (p95), "
            "faults included.",
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=20)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=LOGS / "chat-report.md")
    options = parser.parse_args(arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"chat-seed-{options.seed}.log").open("w") as log:
        say = teller(log)
        result = asyncio.run(soak(Plan(options.seed, options.conversations, options.faults), say))
        text = report_of(result, datetime.now().astimezone())
        write_report(text, options.report, BEGIN, END)
        again = f"make soak CHAOS_SEED={options.seed}"
        say(f"written to {options.report}:\n\n{text}")
        for one in result.conversations:
            if one.problems:
                say(f"{one.noun}: {'; '.join(one.problems)}")
        say("green" if result.is_green else f"red; repeat it with: {again}. Logs: {LOGS}")
    return 0 if result.is_green else 1


if __name__ == "__main__":
    sys.exit(main())
