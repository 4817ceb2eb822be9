"""Deliveries under way all the time while parts of the platform are killed at random: what came of all of them.

The seed decides sentences, victims and pauses; what the machine makes of it differs from run to run.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

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
    deliveries: int = 0
    """This many, and each lives through its share of the kills; 0: as many as there is time for."""

    known: ClassVar[Mapping[str, str]] = NAMES
    """What a plan of this kind can have for `parts`, in words."""
    done: ClassVar[str] = "SIGKILL "
    head: ClassVar[str] = "Killed | Kills"
    counted: ClassVar[str] = "kills"

    def strikes(self) -> Iterator[Strike]:
        """Without end: who strikes stops after enough kills."""
        chance = random.Random(f"{self.seed} strikes")
        while True:
            count = 2 if chance.random() < _TWO_AT_ONCE else 1
            yield Strike(pause(chance), tuple(chance.sample(self.parts, count)))

    def sentences(self) -> list[Iterator[str]]:
        """For each lane, one after the other."""
        if self.deliveries:
            return [islice(wishes(random.Random(f"{self.seed} wishes")), self.deliveries)] * self.lanes
        return [wishes(random.Random(f"{self.seed} lane {lane}")) for lane in range(self.lanes)]

    def may_begin(self, begun: int, kills: int) -> bool:
        """Whether after so many deliveries and kills another delivery may begin."""
        return not self.deliveries or kills * self.deliveries >= (begun - self.lanes + 1) * self.kills

    def may_strike(self, begun: int, kills: int) -> bool:
        """Whether after so many deliveries and kills the next ones may be killed."""
        return not self.deliveries or begun * self.kills > kills * self.deliveries


def pause(chance: random.Random) -> float:
    return chance.uniform(*_PAUSE_S)


def wishes(chance: random.Random) -> Iterator[str]:
    """Without end."""
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
    questions: list[str] = field(default_factory=list)
    """What it asked a person meanwhile, who answered."""

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
        enough = len(self.recoveries) >= self.plan.kills and len(self.accounts) >= self.plan.deliveries
        return enough and not self.strays and not any(account.findings for account in self.accounts)


@dataclass
class Soak:
    traces: Traces
    unkilled: Evidence
    plan: Plan
    say: Say
    result: Result = field(init=False)
    _over: bool = field(default=False, init=False)
    """Nothing is killed any more."""
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)
    """Told when a delivery begins, after each strike, and when the last one is over."""

    def __post_init__(self) -> None:
        self.result = Result(self.plan)

    async def run(self) -> Result:
        began = time.monotonic()
        striking = asyncio.create_task(self._strike_all(began + self.plan.minutes * 60))
        lanes = [asyncio.create_task(self._lane(sentences, striking)) for sentences in self.plan.sentences()]
        try:
            await striking
            self.result.minutes = (time.monotonic() - began) / 60
            await asyncio.gather(*lanes)
        finally:
            for task in (striking, *lanes):
                task.cancel()
        await self._settle()
        for account in self.result.accounts:
            await self._examine(account)
        self.result.strays = await asyncio.to_thread(self.traces.strays)
        return self.result

    async def _strike_all(self, give_up: float) -> None:
        try:
            for number, strike in enumerate(self.plan.strikes(), 1):
                await self._paced(self.plan.may_strike, give_up)
                if len(self.result.recoveries) >= self.plan.kills or time.monotonic() > give_up:
                    return
                await asyncio.sleep(strike.pause_s)  # the planned moment, not a wait for a fact
                await self._strike(number, strike)
                await self._tell_all()
        finally:
            self._over = True
            await self._tell_all()

    async def _strike(self, number: int, strike: Strike) -> None:
        names = " and ".join(self.plan.known[victim] for victim in strike.victims)
        self.say(f"strike {number}: {self.plan.done}{names}")
        took = await asyncio.gather(*(self._befall(victim) for victim in strike.victims))
        self.result.recoveries += map(Recovery, strike.victims, took)
        back = ", ".join(f"{seconds:.1f} s" for seconds in took)
        self.say(f"strike {number}: back after {back}; {len(self.result.recoveries)} {self.plan.counted} so far")

    async def _befall(self, victim: str) -> float:
        return await kill(self.traces.stack, victim)

    async def _paced(self, may: Callable[[int, int], bool], give_up: float = math.inf) -> None:
        """Wait until the plan lets go on, or until there is no time any more."""

        def agreed() -> bool:
            return self._over or may(len(self.result.accounts), len(self.result.recoveries))

        with suppress(TimeoutError):
            async with asyncio.timeout(None if give_up == math.inf else give_up - time.monotonic()), self._moved:
                await self._moved.wait_for(agreed)

    async def _tell_all(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _lane(self, sentences: Iterator[str], striking: "asyncio.Task[None]") -> None:
        """One delivery after the other, until the kills are over."""
        while True:
            await self._paced(self.plan.may_begin)
            sentence = None if self._over else next(sentences, None)
            if sentence is None:
                return
            account = Account(sentence)
            self.result.accounts.append(account)
            await self._tell_all()
            await self._follow(account, striking)

    async def _follow(self, account: Account, striking: "asyncio.Task[None]") -> None:
        began = time.monotonic()
        try:
            account.delivery = await deliver(self.traces.stack, account.sentence, _ACCEPTED_WITHIN_S)
        except (AssertionError, RuntimeError) as error:
            account.findings = [Finding("lost", f"never accepted: {error}")]
            return
        self.say(f"{account.delivery.task_id} accepted: {account.sentence}")
        ending = asyncio.create_task(self._end(account))
        try:
            await asyncio.wait({ending, striking}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(promised(STUCK_AFTER_S)):
                account.state = await ending
        except TimeoutError:
            account.state = "stuck"
        finally:
            ending.cancel()
        account.took_s = time.monotonic() - began
        self.say(f"{account.delivery.task_id} {account.state} after {account.took_s:.1f} s")

    async def _end(self, account: Account) -> str:
        assert account.delivery is not None
        return str((await end_of(self.traces.stack, account.delivery.task_id, _LONGEST_S))["state"])

    async def _settle(self) -> None:
        """Before anything is examined."""

    async def _examine(self, account: Account) -> None:
        if account.delivery is None:
            return
        if account.state == "stuck":
            account.findings = [Finding("lost", f"stuck: no end {STUCK_AFTER_S} s after the last kill")]
            return
        account.findings = await self._judged(account, account.delivery)

    async def _judged(self, account: Account, delivery: Delivery) -> list[Finding]:
        seen = await gather_evidence(self.traces, delivery, engine_killed=True)
        return judge(seen, self.unkilled, delivery.release)
