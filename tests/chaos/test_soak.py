"""Several deliveries at once while parts of the platform are killed at random: none lost, doubled, stuck or orphaned.

`make soak` runs it with another seed in every round. The seed decides the sentences, the moments and the victims;
what the machine makes of it differs from run to run.
"""

import asyncio
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from tests.support.chaos import (
    PARTS,
    Delivery,
    Evidence,
    Finding,
    deliver,
    end_of,
    gather_evidence,
    judge,
    kill,
    unclaimed_agents,
)
from tests.support.stack import Stack

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

DELIVERIES = 5
STRIKES = 12
STUCK_AFTER_S = 180
"""After the last kill a delivery has this long to end; undisturbed, and five at a time, it takes half a minute."""
SENTENCES = (
    "A library with books: title, author, year:int",
    "A bakery with loaves: name, flour, grams:int",
    "A garden with plants: name, colour, height:float",
    "A workshop with tools: name, shelf:int",
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Strike:
    """`pause_s` after the last victim works again, the next ones are killed at the same moment."""

    pause_s: float
    victims: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    starts: list[tuple[float, str]]
    strikes: list[Strike]

    @classmethod
    def of(cls, seed: int) -> "Plan":
        chance = random.Random(seed)
        sentences = (f"{chance.choice(SENTENCES)} [agent:slow={chance.randint(0, 6)}]" for _ in range(DELIVERIES))
        starts = sorted((chance.uniform(0, 40), sentence) for sentence in sentences)
        strikes = [
            Strike(chance.uniform(0, 8), tuple(chance.sample(PARTS, 2 if chance.random() < 0.25 else 1)))
            for _ in range(STRIKES)
        ]
        return cls(starts, strikes)


@dataclass
class Account:
    """What came of one delivery."""

    sentence: str
    delivery: Delivery | None = None
    took_s: float = 0.0
    state: str = "never accepted"
    findings: list[Finding] = field(default_factory=list)

    @property
    def row(self) -> str:
        name = self.delivery.task_id if self.delivery else "-"
        verdict = "; ".join(f"{one.kind}: {one.what}" for one in self.findings) or "as if undisturbed"
        return f"  {name:<18} {self.took_s:6.1f} s  {self.state:<10} {verdict}   {self.sentence}"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print although the test may pass, with the time."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S} {line}\n")
            sys.stdout.flush()

    print_line("")
    return print_line


async def test_deliveries_survive_random_kills(stack: Stack, unkilled: Evidence, chaos_seed: int, say: Say) -> None:
    plan = Plan.of(chaos_seed)
    say(f"seed {chaos_seed}: {DELIVERIES} deliveries, {STRIKES} strikes")
    striking = asyncio.create_task(_strike(stack, plan.strikes, say))
    accounts = [Account(sentence) for _, sentence in plan.starts]
    try:
        await asyncio.gather(
            *(_follow(stack, one, after, striking, say) for one, (after, _) in zip(accounts, plan.starts, strict=True))
        )
        recoveries = await striking
    finally:
        striking.cancel()
    for account in accounts:
        await _examine(stack, account, unkilled)
    _report(accounts, recoveries, say)
    assert [account.row for account in accounts if account.findings] == []
    assert unclaimed_agents(stack) == []


async def _strike(stack: Stack, strikes: list[Strike], say: Say) -> list[tuple[str, float]]:
    """Kill by plan; the victims, each with the seconds until its successor worked."""
    recoveries: list[tuple[str, float]] = []
    for number, strike in enumerate(strikes, 1):
        await asyncio.sleep(strike.pause_s)  # the planned moment, not a wait for a fact
        say(f"strike {number}: SIGKILL {' and '.join(strike.victims)}")
        took = await asyncio.gather(*(kill(stack, victim) for victim in strike.victims))
        recoveries += zip(strike.victims, took, strict=True)
        say(f"strike {number}: back after {', '.join(f'{seconds:.1f} s' for seconds in took)}")
    return recoveries


async def _follow(stack: Stack, account: Account, after_s: float, striking: "asyncio.Task[object]", say: Say) -> None:
    """Start at the planned moment and wait for the end."""
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(after_s)  # the planned moment
    began = clock()
    account.delivery = await deliver(stack, account.sentence)
    say(f"{account.delivery.task_id} accepted: {account.sentence}")
    ending = asyncio.create_task(end_of(stack, account.delivery.task_id, 900))
    try:
        await asyncio.wait({ending, striking}, return_when=asyncio.FIRST_COMPLETED)
        account.state = (await asyncio.wait_for(ending, STUCK_AFTER_S))["state"]
    except TimeoutError:
        account.state = "stuck"
    finally:
        ending.cancel()
    account.took_s = clock() - began
    say(f"{account.delivery.task_id} {account.state} after {account.took_s:.1f} s")


async def _examine(stack: Stack, account: Account, unkilled: Evidence) -> None:
    assert account.delivery is not None
    if account.state != "stuck":
        seen = await gather_evidence(stack, account.delivery)
        account.findings = judge(seen, unkilled, account.delivery.release)
    else:
        account.findings = [Finding("lost", f"stuck: no end {STUCK_AFTER_S} s after the last kill")]


def _report(accounts: list[Account], recoveries: list[tuple[str, float]], say: Say) -> None:
    say("deliveries:\n" + "\n".join(account.row for account in accounts))
    say("kills, and seconds until the successor worked:")
    for part in PARTS:
        seconds = sorted(took for victim, took in recoveries if victim == part)
        if seconds:
            say(f"  {part:<10} {len(seconds):2} kills, p50 {statistics.median(seconds):.1f} s, max {seconds[-1]:.1f} s")
    kinds = [finding.kind for account in accounts for finding in account.findings]
    stuck = sum(account.state == "stuck" for account in accounts)
    lost = kinds.count("lost") - stuck
    orphans, doubled, other = kinds.count("orphan"), kinds.count("doubled"), kinds.count("differs")
    say(
        f"{len(accounts)} deliveries, {len(recoveries)} kills: "
        f"{lost} lost, {doubled} doubled, {stuck} stuck, {orphans} orphans, {other} other differences"
    )
