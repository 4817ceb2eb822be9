"""What the gate says at its end: seconds used and allowed, and the slowest tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SLOWEST = 10


@dataclass(frozen=True)
class Outcome:
    """One suite that has run. `tests` maps ids to seconds; empty for a suite that is a command."""

    name: str
    seconds: float
    budget_s: float
    code: int
    tests: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_green(self) -> bool:
        return self.code == 0

    @property
    def is_over(self) -> bool:
        return self.seconds > self.budget_s


def report(outcomes: Sequence[Outcome]) -> str:
    """A table, the slowest tests, and a warning for each suite that is over its budget."""
    lines = [f"{'suite':<14} {'tests':>6} {'seconds':>8} {'budget':>7}", *(_row(one) for one in outcomes)]
    if len(outcomes) > 1:
        lines.append(_row(_sum(outcomes)))
    slowest = _slowest(outcome.tests for outcome in outcomes)
    if slowest:
        lines += ["", "slowest tests", *(f"{seconds:8.1f} s  {test}" for test, seconds in slowest)]
    over = [f"WARNING: {one.name} took {one.seconds:.0f} s of {one.budget_s:.0f} s." for one in outcomes if one.is_over]
    red = [f"RED: {one.name} (exit code {one.code})." for one in outcomes if not one.is_green]
    return "\n".join([*lines, *([""] if over or red else []), *over, *red])


def _row(one: Outcome) -> str:
    count = str(len(one.tests)) if one.tests else "-"
    word = "" if one.is_green else "  RED"
    return f"{one.name:<14} {count:>6} {one.seconds:8.0f} {one.budget_s:7.0f}{word}"


def _sum(outcomes: Sequence[Outcome]) -> Outcome:
    tests = {test: seconds for one in outcomes for test, seconds in one.tests.items()}
    code = max((one.code for one in outcomes), key=abs)
    seconds, budget = (sum(one.seconds for one in outcomes), sum(one.budget_s for one in outcomes))
    return Outcome("all", seconds, budget, code, tests)


def _slowest(tests: Iterable[Mapping[str, float]]) -> list[tuple[str, float]]:
    every = [(name, seconds) for suite in tests for name, seconds in suite.items()]
    return sorted(every, key=lambda one: -one[1])[:SLOWEST]
