"""A script of events around deliveries: `python -m tests.soak.events_run --events 60 --deliveries 12 --seed 1`.

Besides our own parts it strikes the server, its network, the stores of both engines and a disk. It is red when anything
was lost, doubled, stuck, orphaned or different, when a question did not name the fault, or when there was not time for
all events; it prints the seed.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.conftest import container_platform, undisturbed
from tests.soak.events import EventPlan, EventSoak
from tests.soak.plan import Result, Say
from tests.soak.run import LOGS, conclude, keep_logs, parts_to_kill, teller, write_down
from tests.support.kills.killing import spared_engine
from tests.support.kills.surroundings import (
    DISK,
    EVENTS,
    EngineDisk,
    Surroundings,
    base_image_in_use,
    engine_disk,
    no_small_disk,
)
from tests.support.services.container_service import no_engine

BEGIN, END = "<!-- event soak: begin -->", "<!-- event soak: end -->"


def parts_to_strike(say: Say) -> tuple[str, ...]:
    reason = no_small_disk()
    if reason is not None:
        say(f"NOT TESTED: no full disk: {reason}")
    return (*parts_to_kill(say), *(event for event in EVENTS if event != DISK or reason is None))


async def soak(plan: EventPlan, say: Say, logs: Path) -> Result:
    say(f"seed {plan.seed}: {plan.kills} events over {plan.deliveries} deliveries, {plan.lanes} at once")
    disks: list[EngineDisk] = []

    @asynccontextmanager
    async def own_disk(home: Path) -> AsyncIterator[None]:
        async with AsyncExitStack() as around:
            if DISK in plan.parts:
                disks.append(await around.enter_async_context(engine_disk(home)))
            if spared_engine() is None:
                await around.enter_async_context(base_image_in_use())
            yield

    async with container_platform(own_disk) as traces:
        say("one undisturbed delivery")
        unkilled = await undisturbed(traces)
        around = Surroundings(traces.stack.server, next(iter(disks), None))
        result = await EventSoak(traces, unkilled, plan, say, surroundings=around).run()
        keep_logs(result, traces, logs)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--deliveries", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=40.0, help="no event after that (default: 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=LOGS / "events-report.md")
    options = parser.parse_args(arguments)
    if (obstacle := no_engine()) is not None:
        sys.stderr.write(f"NOT TESTED: the soak run needs containers: {obstacle}\n")
        return 1
    LOGS.mkdir(parents=True, exist_ok=True)
    logs = LOGS / f"logs-of-events-seed-{options.seed}"
    with (LOGS / f"events-seed-{options.seed}.log").open("w") as log:
        say = teller(log)
        script = (options.events, options.minutes)
        plan = EventPlan(options.seed, parts_to_strike(say), *script, deliveries=options.deliveries)
        result = asyncio.run(soak(plan, say, logs))
        write_down(result, options.report, say, BEGIN, END)
        conclude(result, logs, say)
    return 0 if result.is_green else 1


if __name__ == "__main__":
    sys.exit(main())
