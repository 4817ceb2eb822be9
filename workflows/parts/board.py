"""How far each part of a wish is, and which is next: no I/O, no clock."""

from collections.abc import Sequence

from contracts.departments import EngineeringResult
from contracts.errors import bounded
from contracts.parts import PartOf, TaskPart, WorkPart
from contracts.states import PartState
from contracts.wording import counted

_MARKS = {PartState.COMPLETED: "done", PartState.FAILED: "failed", PartState.RUNNING: "in work"}


class Board:
    """The parts of one delivery. They are done one after the other: each builds on what main has then."""

    def __init__(self, parts: Sequence[WorkPart]) -> None:
        self._parts = {part.number: TaskPart(**dict(part)) for part in parts}
        self._results: list[tuple[int, EngineeringResult]] = []

    @property
    def total(self) -> int:
        return len(self._parts)

    def next(self) -> TaskPart | None:
        """The first part that waits for nothing any more; None when there is none."""
        found = (part for part in self._parts.values() if part.state is PartState.OPEN)
        return next((part for part in found if all(self._is(n, PartState.COMPLETED) for n in part.after)), None)

    def begin(self, number: int, task_id: str) -> None:
        self._change(number, state=PartState.RUNNING, task_id=task_id)

    def complete(self, number: int, task_id: str, result: EngineeringResult) -> None:
        self._change(number, state=PartState.COMPLETED, task_id=task_id)
        self._results.append((number, result))

    def fail(self, number: int) -> list[int]:
        """The part has failed; the parts that are blocked by that."""
        self._change(number, state=PartState.FAILED)
        blocked = []
        for part in self.shown():
            by = [n for n in part.after if self._is(n, PartState.FAILED) or self._is(n, PartState.BLOCKED)]
            if part.state is PartState.OPEN and by:
                roots = sorted({root for n in by for root in self._parts[n].blocked_by or [n]})
                self._change(part.number, state=PartState.BLOCKED, blocked_by=roots)
                blocked.append(part.number)
        return blocked

    def halt(self) -> None:
        """The work has ended: what was in work is not any more."""
        for part in self.shown():
            if part.state is PartState.RUNNING:
                self._change(part.number, state=PartState.OPEN)

    def shown(self) -> list[TaskPart]:
        return list(self._parts.values())

    def results(self) -> list[tuple[int, EngineeringResult]]:
        """What was built, in the order in which it was published."""
        return list(self._results)

    def part_of(self, part: WorkPart) -> PartOf:
        """What whoever works on a part is told of the others."""
        return PartOf(number=part.number, total=self.total, plan=[self.line(one) for one in self._parts.values()])

    def line(self, part: TaskPart) -> str:
        """One line of the plan, such as `2. Reviews: text (after 1; in work)`."""
        notes = [f"after {', '.join(map(str, part.after))}"] if part.after else []
        if part.state is PartState.BLOCKED:
            notes.append(f"blocked by {', '.join(map(str, part.blocked_by))}")
        elif part.state in _MARKS:
            notes.append(_MARKS[part.state])
        noted = f" ({'; '.join(notes)})" if notes else ""
        return bounded(f"{part.number}. {part.title}{noted}", 200)

    def told(self) -> str:
        """The plan in one line for people."""
        lines = "; ".join(self.line(part) for part in self._parts.values())
        return f"The work has {counted(self.total, 'part')}, done one after the other: {lines}."

    def left(self) -> str:
        """What is not there, for whoever reads why it ended."""
        blocked = [part for part in self._parts.values() if part.state is PartState.BLOCKED]
        done = counted(len(self._results), "part")
        waits = f" Blocked by that: {', '.join(str(one.number) for one in blocked)}." if blocked else ""
        return f"{done} of {self.total} on main.{waits}"

    def _is(self, number: int, state: PartState) -> bool:
        return number in self._parts and self._parts[number].state is state

    def _change(self, number: int, **changes: object) -> None:
        self._parts[number] = self._parts[number].model_copy(update=changes)
