"""How a project's own checks are run, and what the run leaves beside its output: the phase, and a report of the tests.

Words in the output are the project's: an assertion may speak of a full disk. So the phase is noted before it begins,
and whether there is room on the disk is tried after one has failed.
"""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

PHASE_FILE = "phase"
REPORT_FILE = "report.xml"
MAX_REPORT = 8 * 1024 * 1024
_PIECE = 64 * 1024
NO_ROOM = 74
"""The exit code of a run that failed and could not write a megabyte afterwards; `make` itself has 1 and 2 only."""
_SCRIPT = """
beside=$1
shift
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

    @classmethod
    def of(cls, phase: bytes | None, report: bytes | None) -> Beside:
        known = (phase or b"").decode(errors="replace").strip()
        return cls(known if known in {"setup", "check", "test"} else None, read_report(report))


def argv_of(beside: str, *variables: str) -> list[str]:
    """The command that runs the phases and leaves its files in the directory `beside`."""
    return ["sh", "-uc", _SCRIPT, "sh", beside, *variables]


def pytest_options(beside: str) -> str:
    """The value of PYTEST_ADDOPTS."""
    return f"-rfE --color=no -p no:cacheprovider {shlex.quote(f'--junitxml={beside}/{REPORT_FILE}')}"


def read_report(content: bytes | None) -> TestReport | None:
    """The JUnit XML of a test run; None when it is none. Blocks: call it in a thread."""
    if content is None or len(content) > MAX_REPORT:
        return None
    try:
        # As text, whatever encoding it claims or the parser would guess: in another one the words below look different.
        document = content.decode("utf-8-sig")
        if "\0" in document or "<!DOCTYPE" in document or "<!ENTITY" in document:
            return None
        cases = list(_parsed(document).iter("testcase"))
    except (ElementTree.ParseError, LookupError, ValueError):
        return None
    failing = [text for case in cases if (text := _failure(case))]
    return TestReport(sum(case.find("skipped") is None for case in cases), tuple(failing))


def _parsed(document: str) -> ElementTree.Element:
    """In pieces: while one is parsed, no other thread runs."""
    parser = ElementTree.XMLParser()
    for start in range(0, len(document), _PIECE):
        parser.feed(document[start : start + _PIECE])
    root: ElementTree.Element = parser.close()
    return root


def _failure(case: ElementTree.Element) -> str | None:
    found = next((one for kind in ("failure", "error") if (one := case.find(kind)) is not None), None)
    if found is None:
        return None
    place = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
    reason = next(iter((found.get("message") or "").splitlines()), "")
    return f"{place} - {reason}" if reason else place
