"""Deliveries under way all the time while parts of the platform are killed at random: what came of all of them.

The seed decides sentences, victims and pauses; what the machine makes of it differs from run to run.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.kills.judging import Delivery, Evidence, Finding, judge
from tests.support.kills.killing import NAMES, kill
from tests.support.kills.run import deliver, end_of, gather_evidence
from tests.support.kills.traces import Traces
from tests.support.patience import promised

STUCK_AFTER_S = 300
"""After the last kill a delivery has this long to end; undisturbed, and three at a time, it takes a minute."""
_ACCEPTED_WITHIN_S = 180
_LONGEST_S = 3600
_PAUSE_S = (0.5, 8.0)
_TWO_AT_ONCE = 0.25
_SENTENCES = (
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
    seed: int
    parts: tuple[str, ...]
    kills: int = 100
    minutes: float = 22.0
    lanes: int = 3
    """Deliveries in parallel."""

    def strikes(self) -> Iterator[Strike]:
        """Without end: who strikes stops after enough kills."""
        chance = random.Random(f"{self.seed} strikes")
        while True:
            count = 2 if chance.random() < _TWO_AT_ONCE else 1
            yield Strike(chance.uniform(*_PAUSE_S), tuple(chance.sample(self.parts, count)))

    def sentences(self, lane: int) -> Iterator[str]:
        chance = random.Random(f"{self.seed} lane {lane}")
        while True:
            yield f"{chance.choice(_SENTENCES)} [agent:slow={chance.randint(0, 6)}]"


@dataclass(frozen=True)
class Recovery:
    """One kill, and the seconds until the successor did its work."""

    part: str
    took_s: float


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
        return f"{name:<18} {self.took_s:6.1f} s  {self.state:<10} {verdict}   {self.sentence}"


@dataclass
class Result:
    plan: Plan
    recoveries: list[Recovery] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    strays: tuple[str, ...] = ()
    minutes: float = 0.0
    """From the first to the last kill."""

    def found(self, kind: str) -> int:
        return sum(finding.kind == kind for account in self.accounts for finding in account.findings)

    @property
    def stuck(self) -> int:
        return sum(account.state == "stuck" for account in self.accounts)

    @property
    def lost(self) -> int:
        """Deliveries that are stuck are counted as that."""
        return self.found("lost") - self.stuck

    @property
    def orphans(self) -> int:
        return self.found("orphan") + len(self.strays)

    @property
    def is_green(self) -> bool:
        enough = len(self.recoveries) >= self.plan.kills
        return enough and not self.strays and not any(account.findings for account in self.accounts)


@dataclass
class Soak:
    traces: Traces
    unkilled: Evidence
    plan: Plan
    say: Say
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.plan)

    async def run(self) -> Result:
        began = time.monotonic()
        striking = asyncio.create_task(self._strike(began + self.plan.minutes * 60))
        lanes = [asyncio.create_task(self._lane(number, striking)) for number in range(self.plan.lanes)]
        try:
            await striking
            self.result.minutes = (time.monotonic() - began) / 60
            await asyncio.gather(*lanes)
        finally:
            for task in (striking, *lanes):
                task.cancel()
        for account in self.result.accounts:
            await self._examine(account)
        self.result.strays = await asyncio.to_thread(self.traces.strays)
        return self.result

    async def _strike(self, give_up: float) -> None:
        for number, strike in enumerate(self.plan.strikes(), 1):
            if len(self.result.recoveries) >= self.plan.kills or time.monotonic() > give_up:
                return
            await asyncio.sleep(strike.pause_s)  # the planned moment, not a wait for a fact
            self.say(f"strike {number}: SIGKILL {' and '.join(NAMES[victim] for victim in strike.victims)}")
            took = await asyncio.gather(*(kill(self.traces.stack, victim) for victim in strike.victims))
            self.result.recoveries += map(Recovery, strike.victims, took)
            back = ", ".join(f"{seconds:.1f} s" for seconds in took)
            self.say(f"strike {number}: back after {back}; {len(self.result.recoveries)} kills so far")

    async def _lane(self, number: int, striking: "asyncio.Task[None]") -> None:
        """One delivery after the other, until the kills are over."""
        for sentence in self.plan.sentences(number):
            if striking.done():
                return
            account = Account(sentence)
            self.result.accounts.append(account)
            await self._follow(account, striking)

    async def _follow(self, account: Account, striking: "asyncio.Task[None]") -> None:
        began = time.monotonic()
        try:
            account.delivery = await deliver(self.traces.stack, account.sentence, _ACCEPTED_WITHIN_S)
        except (AssertionError, RuntimeError) as error:
            account.findings = [Finding("lost", f"never accepted: {error}")]
            return
        self.say(f"{account.delivery.task_id} accepted: {account.sentence}")
        ending = asyncio.create_task(end_of(self.traces.stack, account.delivery.task_id, _LONGEST_S))
        try:
            await asyncio.wait({ending, striking}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(promised(STUCK_AFTER_S)):
                account.state = (await ending)["state"]
        except TimeoutError:
            account.state = "stuck"
        finally:
            ending.cancel()
        account.took_s = time.monotonic() - began
        self.say(f"{account.delivery.task_id} {account.state} after {account.took_s:.1f} s")

    async def _examine(self, account: Account) -> None:
        if account.delivery is None:
            return
        if account.state == "stuck":
            account.findings = [Finding("lost", f"stuck: no end {STUCK_AFTER_S} s after the last kill")]
            return
        seen = await gather_evidence(self.traces, account.delivery, engine_killed=True)
        account.findings = judge(seen, self.unkilled, account.delivery.release)
