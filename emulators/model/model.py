"""The model: which step a request gets, and what is remembered and billed."""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from emulators.model import directives, tools
from emulators.model.exchange import Answer, Asked, Entry, Kind
from emulators.model.records import Records
from emulators.model.steps import Do, Scenario, Step, primitive
from emulators.model.tokens import Caches

_FINISHED = Step(do=Do.SAY, text="Done.")
_SIDE = Step(do=Do.SAY, text="Scripted work")
_OF_ACCOUNT = {401, 402, 403}
_TASK_FILE = "TASK.md"
_REMINDER = re.compile(r"\s*<(system-reminder|environment_context|user_instructions)")


@dataclass
class _Struck:
    """How often a fault has struck, and since when (monotonic seconds)."""

    times: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class Turn:
    """The step that a request gets. `left_s`: how long a usage window stays closed."""

    step: Step
    side: bool = False
    left_s: float | None = None


@dataclass
class Model:
    """One scripted model. `keys`: those that are valid, None for all. A newer scenario comes before an older one."""

    keys: set[str] | None = None
    scenarios: list[Scenario] = field(default_factory=list)
    named: dict[str, Scenario] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    caches: Caches = field(default_factory=Caches)
    clock: Callable[[], float] = time.monotonic
    _struck: dict[tuple[str, int], _Struck] = field(default_factory=dict)

    def knows(self, key: str) -> bool:
        return bool(key) and (self.keys is None or key in self.keys)

    def reset(self) -> None:
        """Forget requests, bills, set scenarios and what has struck; named scenarios stay."""
        self.scenarios.clear()
        self._struck.clear()
        self.records, self.caches = Records(), Caches()

    def withdraw(self, scenario: Scenario) -> None:
        """Take back a scenario that was set, and forget what has struck: the next one with its words begins anew."""
        self.scenarios.remove(scenario)
        self._struck.clear()

    def turn(self, key: str, asked: Asked) -> Turn:
        """What this request gets. Raises UnknownDirective."""
        side = not asked.tools
        for scenario in reversed(self.scenarios):
            if _fits(scenario, key, asked, side=side) and (begin := _begin(asked, scenario.match)) is not None:
                return self._at(key, scenario.steps, asked, begin, side=side)
        if side:
            return Turn(self._account_refused(asked) or _SIDE, side=True)
        if (begin := _begin(asked, directives.BEGIN)) is not None:
            return self._at(key, directives.steps(asked.entries[begin].text, self.named), asked, begin, side=False)
        return self._of_task(key, asked)

    def _account_refused(self, asked: Asked) -> Step | None:
        """A vendor that refuses a key, or one without credit, refuses it whatever it asks for."""
        if (begin := _begin(asked, directives.BEGIN)) is None:
            return None
        first = next(iter(directives.steps(asked.entries[begin].text, self.named)), None)
        is_refused = (
            first is not None
            and first.do is Do.STATUS
            and first.status in _OF_ACCOUNT
            and first.times is None
            and first.for_s is None
        )
        return first if is_refused else None

    def _of_task(self, key: str, asked: Asked) -> Turn:
        """A prompt that names a file with the task: the model reads it, and finds the directives in it.

        Each new prompt has it read again; where it says the same as before, its scenario goes on.
        """
        begin = _begin(asked, _TASK_FILE)
        if begin is not None and not any(entry.kind is Kind.CALLED for entry in asked.entries[begin:]):
            return Turn(Step(do=Do.RUN, text=f"cat {_TASK_FILE}"))
        found = [index for index, entry in enumerate(asked.entries) if _is_task(entry)]
        if not found:
            return Turn(_FINISHED)
        text = asked.entries[found[-1]].text
        same = [index for index in found if directives.find(asked.entries[index].text) == directives.find(text)]
        steps = directives.steps(text, self.named)
        return self._at(key, steps, asked, same[0], side=False, apart=len(same) - 1)

    def _at(self, key: str, steps: Sequence[Step], asked: Asked, begin: int, *, side: bool, apart: int = 0) -> Turn:
        """The step after as many as the conversation since `begin` shows. Repeated requests get the same step.

        `apart`: how many of its answers belong to no scenario.
        """
        left = sum(entry.kind in {Kind.CALLED, Kind.SAID} for entry in asked.entries[begin:]) - apart
        text = f"{key} {begin} {asked.entries[begin].text}"
        scope = hashlib.sha256(text.encode()).hexdigest()
        for index, step in enumerate(primitive(tuple(steps))):
            if step.is_fault:
                if left == 0 and (turn := self._strike(scope, index, step, side=side)):
                    return turn
            elif left == 0 or step.do is Do.LOOP:
                return Turn(step, side)
            else:
                left -= 1
        return Turn(_FINISHED, side)

    def _strike(self, scope: str, index: int, step: Step, *, side: bool) -> Turn | None:
        struck = self._struck.setdefault((scope, index), _Struck(since=self.clock()))
        left_s = None if step.for_s is None else struck.since + step.for_s - self.clock()
        if (step.times is not None and struck.times >= step.times) or (left_s is not None and left_s <= 0):
            return None
        struck.times += 1
        return Turn(step, side, left_s)


def answer(asked: Asked, step: Step) -> Answer:
    """The answer that a step prescribes. Raises NoSuchTool."""
    if step.do is Do.WRITE:
        return Answer(call=tools.write(asked, step.path, step.text))
    if step.do is Do.RUN:
        return Answer(call=tools.run(asked, step.text))
    if step.do is Do.LOOP:
        # Some agents end a turn that repeats itself exactly.
        round_ = sum(entry.kind is Kind.CALLED for entry in asked.entries)
        return Answer(call=tools.run(asked, f"{step.text or 'true'} # {round_}"))
    if step.do is Do.UNKNOWN_TOOL:
        return Answer(call=tools.unknown())
    if step.do is Do.HUGE:
        return Answer(_long(step.size))
    if step.do is Do.NOTHING:
        return Answer()
    return Answer(step.text or "Scripted text.")


def _long(size: int) -> str:
    """A text of `size` characters that does not repeat itself: agents end an answer that does."""
    words = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(size // 65 + 1))
    return "\n".join(words)[:size]


def prompt(asked: Asked) -> str:
    """The newest text of a person."""
    begin = _begin(asked, "")
    return "" if begin is None else asked.entries[begin].text


def _is_task(entry: Entry) -> bool:
    return entry.kind is Kind.RESULT and bool(directives.find(entry.text))


def _fits(scenario: Scenario, key: str, asked: Asked, *, side: bool) -> bool:
    return (
        (scenario.side or not side)
        and scenario.key in {None, key}
        and scenario.model in {None, asked.model}
        and scenario.system in asked.system
    )


def _begin(asked: Asked, match: str) -> int | None:
    """The position of the newest text of a person that holds `match`; what agents add by themselves does not count."""
    for index in range(len(asked.entries) - 1, -1, -1):
        entry = asked.entries[index]
        if entry.kind is Kind.USER and match in entry.text and not _REMINDER.match(entry.text):
            return index
    return None
