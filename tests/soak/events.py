"""A script of events: kills of our own parts, and what happens around them: to the server, its network, disks, stores.

Each kind comes as often as its share of the script says; the seed decides the order, the pauses and what comes
together.
"""

import asyncio
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import uuid4

from contracts.errors import ErrorCode
from tests.soak.plan import Account, Plan, Soak, Strike, pause
from tests.support.eventually import eventually
from tests.support.kills.judging import Delivery, Evidence, Finding, judge
from tests.support.kills.killing import DOCKER, NAMES, PARTS, kill
from tests.support.kills.run import asked, gather_evidence, serves
from tests.support.kills.surroundings import DISK, EVENTS, NETWORK, PRUNE, SERVER, Surroundings
from tests.support.kills.traces import SeenRuns
from tests.support.stack import Stack

SHARES: Mapping[str, int] = {SERVER: 8, NETWORK: 8, PRUNE: 6, DISK: 6}
"""Of sixty events; the rest are kills of our own parts, each as often."""
_ALL = 60
_TOGETHER = 0.25
_LOOK_S = 1.0
_RETRY = "retry"
_NAMES_THE_FAULT = re.compile(r"removed|killed|interrupted|server|disk|Docker|network|cannot be reached", re.IGNORECASE)
_TESTS_AGAIN = frozenset({ErrorCode.TESTER_LOST})
_DEPLOY_AGAIN = frozenset({ErrorCode.SERVER_UNREACHABLE, ErrorCode.DOCKER_DISK_FULL, ErrorCode.PLAYBOOK_LOST})
"""What the product says before it starts a run again that it had begun."""


@dataclass(frozen=True)
class EventPlan(Plan):
    """`kills` is the number of all events; `parts` are our own parts and the kinds of other events."""

    known: ClassVar[Mapping[str, str]] = NAMES | EVENTS
    done: ClassVar[str] = ""
    head: ClassVar[str] = "Event | Times"
    counted: ClassVar[str] = "events"

    def script(self) -> list[str]:
        """Every event once, in the order of the seed."""
        shares: dict[str, float] = {part: SHARES.get(part, 0) for part in self.parts}
        own = [part for part in self.parts if part in NAMES]
        shares |= dict.fromkeys(own, (_ALL - sum(shares.values())) / len(own))
        events = _apportioned(shares, self.kills)
        random.Random(f"{self.seed} events").shuffle(events)
        return events

    def strikes(self) -> Iterator[Strike]:
        chance = random.Random(f"{self.seed} strikes")
        events = self.script()
        while events:
            count = 2 if chance.random() < _TOGETHER and _may_coincide(events[:2]) else 1
            yield Strike(pause(chance), tuple(events[:count]))
            del events[:count]


def _apportioned(shares: Mapping[str, float], number: int) -> list[str]:
    """So many in all, each as often as its share says, and at least once if there is room for that."""
    whole = sum(shares.values())
    exact = {name: share * number / whole for name, share in shares.items()}
    counts = {name: max(1, int(wanted)) for name, wanted in exact.items()}
    for name in sorted(exact, key=lambda one: exact[one] - int(exact[one]), reverse=True):
        counts[name] += sum(counts.values()) < number
    found = [name for name, count in counts.items() for _ in range(count)]
    return found[:number]


def _may_coincide(events: Sequence[str]) -> bool:
    """Two parts, or a part and something around it that needs no Docker daemon which is being started."""
    around = [event for event in events if event in EVENTS]
    return len(set(events)) == 2 and len(around) < 2 and not (around and DOCKER in events)


@dataclass
class EventSoak(Soak):
    surroundings: Surroundings = field(kw_only=True)

    async def _befall(self, victim: str) -> float:
        if victim in PARTS:
            return await kill(self.traces.stack, victim)
        return await self.surroundings.befall(victim)

    async def _end(self, account: Account) -> str:
        answering = asyncio.create_task(self._answer_questions(account))
        try:
            return await super()._end(account)
        finally:
            answering.cancel()

    async def _answer_questions(self, account: Account) -> None:
        """As a person who reads what is asked, and knows that the fault passes."""
        assert account.delivery is not None
        stack, answered = self.traces.stack, set[str]()
        path = f"/questions?project_id={account.delivery.project_id}&state=open"
        while True:
            for question in (await asked(stack, path) or {"items": []})["items"]:
                if question["id"] not in answered and await self._answer(question):
                    answered.add(question["id"])
                    account.questions.append(question["text"])
                    self.say(f"{account.delivery.task_id} asked and was answered: {question['text']}")
            await asyncio.sleep(_LOOK_S)

    async def _answer(self, question: dict[str, Any]) -> bool:
        reply = ("--answer-id", uuid4().hex, "--json")
        return (await self.traces.stack.cli("answer", question["id"], _RETRY, *reply)).code == 0

    async def _settle(self) -> None:
        """A server that has just come back starts its services again."""
        ended = [one.delivery for one in self.result.accounts if one.delivery and one.state == "completed"]

        async def all_serve() -> bool:
            return all([await serves(self.traces.stack, one) for one in ended])

        try:
            _: bool = await eventually(all_serve, 60, interval=1.0, message="the services of all deliveries")
        except AssertionError as error:
            self.say(str(error))

    async def _judged(self, account: Account, delivery: Delivery) -> list[Finding]:
        seen = await gather_evidence(self.traces, delivery, engine_killed=True)
        said = await asyncio.to_thread(Said.of, self.traces.stack, delivery)
        seen = after_questions(said.explained(seen, self.traces, delivery), self.unkilled, len(account.questions))
        return false_questions(account.questions) + judge(seen, self.unkilled, delivery.release)


def false_questions(questions: Sequence[str]) -> list[Finding]:
    """A delivery may wait for a person, but only with the truth: the question names what happened."""
    return [Finding("differs", f"asked without a word of the fault: {one}") for one in questions
            if not _NAMES_THE_FAULT.search(one)]  # fmt: skip


def after_questions(seen: Evidence, unkilled: Evidence, questions: int) -> Evidence:
    """Without the turns and milestones that as many answers have caused; all others must be there, in their order."""
    if not questions or seen.turns > unkilled.turns + questions:
        return seen
    rest = iter(seen.milestones)
    whole = all(one in rest for one in unkilled.milestones)
    extra = seen.turns - unkilled.turns
    return replace(
        seen,
        turns=unkilled.turns,
        agent_starts=seen.agent_starts - extra,
        milestones=unkilled.milestones if whole else seen.milestones,
    )


@dataclass(frozen=True)
class Said:
    """Why the platform, by its own log, tried steps of one delivery again: a code for each time."""

    of_tests: tuple[str, ...] = ()
    of_deploys: tuple[str, ...] = ()

    @classmethod
    def of(cls, stack: Stack, delivery: Delivery) -> "Said":
        logs = (stack.home / "logs").glob("workers.log*")
        lines = [line for file in sorted(logs) for line in file.read_text(errors="replace").splitlines()]
        return cls.in_lines(lines, delivery)

    @classmethod
    def in_lines(cls, lines: Sequence[str], delivery: Delivery) -> "Said":
        return cls(_codes(lines, delivery.engineering), _codes(lines, delivery.deploy))

    def explained(self, seen: Evidence, traces: SeenRuns, delivery: Delivery) -> Evidence:
        """Without the runs that were begun again as often as the platform said that it has to."""
        _, tests, deploys = delivery.work
        allowed = {
            tests: sum(code in _TESTS_AGAIN for code in self.of_tests),
            deploys: sum(code in _DEPLOY_AGAIN for code in self.of_deploys),
        }

        def is_explained(name: str) -> bool:
            again = sum(run.name == name for run in traces.runs(name)) - 1
            return any(name.startswith(prefix) and again <= times for prefix, times in allowed.items())

        return replace(seen, begun_again=tuple(name for name in seen.begun_again if not is_explained(name)))


def _codes(lines: Sequence[str], task_id: str) -> tuple[str, ...]:
    mine = [line for line in lines if "activity failed" in line and re.search(rf"\btask_id={task_id}\b", line)]
    return tuple(found[1] for line in mine if (found := re.search(r"\bcode=(\w+)", line)))
