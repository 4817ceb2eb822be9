"""How long people in a chat wait for the first sign that their wish has arrived, when many write at the same moment.

The real bot on a platform of its own, with an emulated Telegram. Measured from the moment at which Telegram has the
message until it has the bot's "accepted", which the bot sends when the wish is recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from activities.adapters.runs.supervisor import Supervisor
from benchmarks.measuring import Spread
from benchmarks.reporting import Benchmark, Findings, Table, main
from emulators.telegram.telegram import Telegram
from tests.support.people.chat import ChatSystem, ChatUser, running_chat_system
from tests.support.stack import running_stack

_WISH = "Make a list of books: title, author [agent:hang]"
"""An agent that never ends: the platform is as busy as with real ones, and nothing more begins behind it."""
_WITHIN_S = 120.0


async def measure(options: argparse.Namespace) -> Findings:
    os.environ["ORCHESTRATOR_RUNTIME"] = "process"
    idle, busy = list[float](), list[float]()
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            home = Path(directory) / "home"
            async with running_stack(home) as stack, running_chat_system(stack, Telegram()) as system:
                await acknowledged(await system.member(), _WISH)
                idle += await at_once(system, options.chats, _WISH)
                busy += await at_once(system, options.chats, "/status")
            await end_agents(home)
    spreads = {"a wish, while one task runs": Spread.of(idle), "/status, while all these tasks start": Spread.of(busy)}
    return Findings(
        tables=[
            Table(
                [f"{options.chats} chats at once, {options.rounds} times", "p50", "p95", "Longest"],
                [
                    [what, f"{one.p50:.2f} s", f"{one.p95:.2f} s", f"{one.largest:.2f} s"]
                    for what, one in spreads.items()
                ],
            )
        ],
        figures={what: asdict(one) for what, one in spreads.items()},
        remarks=["Goal for a wish: p95 below 1 s. Each time on a freshly started platform."],
    )


async def end_agents(home: Path) -> None:
    """A turn outlives the platform, and these have no end of their own."""
    supervisor = Supervisor(home / "runs")
    for run in (home / "runs").iterdir():
        await supervisor.stop(run.name, grace_s=0)


async def at_once(system: ChatSystem, chats: int, text: str) -> list[float]:
    """Seconds that each of so many new people waited."""
    users = [await system.member() for _ in range(chats)]
    return list(await asyncio.gather(*(acknowledged(user, text) for user in users)))


async def acknowledged(user: ChatUser, text: str) -> float:
    """Seconds until the bot has said something to a person who said nothing before."""
    user.say(text)
    await user.chat.wait(lambda chat: chat.from_bot, _WITHIN_S)
    said = next(frame for frame in user.chat.frames if frame.change == "said")
    answer = next(frame for frame in user.chat.frames if frame.change == "sent")
    return answer.at - said.at


BENCHMARK = Benchmark("chat_acknowledgement", "Acknowledgement in the chat", {"chats": 30, "rounds": 3}, measure)

if __name__ == "__main__":
    main(BENCHMARK)
