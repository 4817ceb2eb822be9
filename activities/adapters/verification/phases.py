"""How a project's own checks are run, and what the run leaves beside its output: the phase, a report of the tests, and
what these cover.

Words in the output are the project's: an assertion may speak of a full disk. So the phase is noted before it begins,
and whether there is room on the disk is tried after one has failed.
"""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from activities.adapters.verification.coverage import COVERAGE_FILE, read_lines_covered
from activities.adapters.verification.hostile_xml import parse
from contracts.suite_figures import SuiteFigures

PHASE_FILE = "phase"
REPORT_FILE = "report.xml"
MAX_REPORT = 8 * 1024 * 1024
NO_ROOM = 74
"""The exit code of a run that failed and could not write a megabyte afterwards; `make` itself has 1 and 2 only."""
_SCRIPT = f"""
beside=$1
shift
# One that was committed says nothing of this commit.
rm -f {COVERAGE_FILE}
for phase in setup check test; do
  echo "$phase" >"$beside/phase"
  make "$phase" "$@" && continue
  code=$?
  head -c 1048576 /dev/zero >"$beside/room" && head -c 1048576 /dev/zero >.room || code=74
  rm -f "$beside/room" .room
  exit "$code"
done
"""


@dataclass(frozen=True)
class TestReport:
    """What the test program itself says. `failing`: `place.test - reason`, in its order."""

    __test__ = False

    executed: int
    failing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beside:
    """What a run of checks left beside its output; None: it left none that can be used."""

    phase: str | None = None
    report: TestReport | None = None
    lines_covered_permille: int | None = None

    @classmethod
    def of(cls, phase: bytes | None, report: bytes | None, coverage: bytes | None = None) -> Beside:
        known = (phase or b"").decode(errors="replace").strip()
        known_phase = known if known in {"setup", "check", "test"} else None
        return cls(known_phase, read_report(report), read_lines_covered(coverage))

    @property
    def figures(self) -> SuiteFigures | None:
        """What is known in figures; None if nothing is."""
        if self.report is None and self.lines_covered_permille is None:
            return None
        executed = None if self.report is None else self.report.executed
        return SuiteFigures(executed=executed, lines_covered_permille=self.lines_covered_permille)


def argv_of(beside: str, *variables: str) -> list[str]:
    """The command that runs the phases and leaves its files in the directory `beside`."""
    return ["sh", "-uc", _SCRIPT, "sh", beside, *variables]


def pytest_options(beside: str) -> str:
    """The value of PYTEST_ADDOPTS."""
    return f"-rfE --color=no -p no:cacheprovider {shlex.quote(f'--junitxml={beside}/{REPORT_FILE}')}"


def read_report(content: bytes | None) -> TestReport | None:
    """The JUnit XML of a test run; None when it is none. Blocks: call it in a thread."""
    root: ElementTree.Element | None = parse(content, MAX_REPORT)
    if root is None:
        return None
    cases = list(root.iter("testcase"))
    failing = [text for case in cases if (text := _failure(case))]
    return TestReport(sum(case.find("skipped") is None for case in cases), tuple(failing))


def _failure(case: ElementTree.Element) -> str | None:
    found = next((one for kind in ("failure", "error") if (one := case.find(kind)) is not None), None)
    if found is None:
        return None
    place = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
    reason = next(iter((found.get("message") or "").splitlines()), "")
    return f"{place} - {reason}" if reason else place
