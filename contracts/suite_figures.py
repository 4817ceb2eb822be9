"""What the run of a project's own tests says in figures: how many tests ran, and how much of the code they ran.

The figures are the project's own, as are its tests: they are shown and decide nothing.
"""

from collections.abc import Mapping

from pydantic import Field

from contracts.base import Contract
from contracts.wording import counted

TESTS = "tests"
"""In a task's result: how many of the project's own tests ran at its commit."""
LINES_COVERED = "lines_covered_permille"
"""In a task's result: the share of the code's lines that these tests ran."""
MOST_TESTS = 1_000_000_000


class SuiteFigures(Contract):
    """`executed` counts tests without the skipped ones, `lines_covered_permille` is rounded down: 1000 are all lines.

    None is not known: a project need not measure anything.
    """

    executed: int | None = Field(default=None, ge=0, le=MOST_TESTS)
    lines_covered_permille: int | None = Field(default=None, ge=0, le=1000)

    @property
    def percent(self) -> int | None:
        """Whole percent of lines, rounded down; None if not known."""
        return None if self.lines_covered_permille is None else self.lines_covered_permille // 10

    def told(self) -> str:
        """`42 tests, 87 % of lines covered`, without what is not known; empty if nothing is."""
        tests = "" if self.executed is None else counted(self.executed, "test")
        lines = "" if self.percent is None else f"{self.percent} % of lines covered"
        return ", ".join(filter(None, [tests, lines]))

    def in_result(self) -> dict[str, int]:
        """The known figures as entries of a task's result."""
        known = {TESTS: self.executed, LINES_COVERED: self.lines_covered_permille}
        return {name: value for name, value in known.items() if value is not None}


def figures_in(result: Mapping[str, str | int | None]) -> SuiteFigures:
    """The figures in a task's result; what is missing there, or no such figure, is not known."""
    return SuiteFigures(
        executed=_figure(result.get(TESTS), MOST_TESTS), lines_covered_permille=_figure(result.get(LINES_COVERED), 1000)
    )


def _figure(value: str | int | None, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None
