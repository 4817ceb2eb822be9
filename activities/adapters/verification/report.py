"""What the output of a project's own checks means: passed or not, whose fault, and which failure it is."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from activities.adapters.packages.registry_access import registry_is_away
from activities.adapters.runs.follower import readable
from activities.adapters.verification.phases import NO_ROOM, Beside
from contracts.errors import bounded, end_of
from contracts.suite_figures import SuiteFigures

FailureClass = Literal["code", "infrastructure"]

_MAX_EVIDENCE = 7_500
_MAX_TAIL = 4_500
_MAX_NAMES = 30
_SEARCHED = 2_000_000
"""Characters in which lines of errors are looked for: one search of tens of megabytes holds up all other threads."""
_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S.*)$", re.MULTILINE)
_PASSED = re.compile(r"\b([1-9]\d*) passed\b")
_NO_TESTS = re.compile(r"no tests (ran|collected)|collected 0 items", re.IGNORECASE)
_ERROR_LINE = re.compile(
    r"^(?:E\s{2,}.*|.*\b\w*(?:Error|Exception)\b.*|.*:\d+:\d+: .*|make.*\*\*\*.*|.*would reformat.*)$", re.I | re.M
)
_KILLED = re.compile(r"make: \*\*\* \[[^\]]*\] (?:Killed|Error 137)")
"""Make's own last line, after which nobody else writes."""
_INSTALLERS_LINE = re.compile(
    r"^(?:ERROR|error|WARNING|warning|pip|uv)\b.*:.*|^\s+(?:cause:|Caused by:|╰─▶|×).*", re.MULTILINE
)
"""How pip and uv begin to speak of trouble. What a project's own code says there begins with the name of an error."""
_NOISE = (
    (re.compile(r"0x[0-9a-fA-F]+"), "#"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?"), "#"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b"), "#"),
    (re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+"), ""),
    (re.compile(r"\d+(?:\.\d+)?"), "#"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class CheckedOutput:
    """A verdict. `evidence` is bounded and made for the Developer; `fingerprint` is None if the checks passed.

    `figures` are shown and decide nothing.
    """

    passed: bool
    failure_class: FailureClass | None
    fingerprint: str | None
    evidence: str
    figures: SuiteFigures | None = None


def judge(
    output: str, exit_code: int | None, beside: Beside | None = None, *, timed_out: bool = False, timeout_s: int = 0
) -> CheckedOutput:
    """The verdict on the phases setup, check and test. A project whose tests did not run is not verified.

    The exit code, the phase and the report of the tests decide; words in the output only where there is no report.
    """
    text, beside = readable(output), beside or Beside()
    failing = _failing(text) or [readable(name) for name in (beside.report.failing if beside.report else ())]
    if timed_out:
        return _failure("code", f"The checks did not finish within {timeout_s} s and were stopped.", text, failing)
    if exit_code == 0:
        return _after_good_end(text, beside, failing)
    trouble = _trouble(text, exit_code, beside)
    if trouble:
        return _failure("infrastructure", trouble, text, failing)
    if _NO_TESTS.search(text[-_MAX_TAIL:]) and not failing:
        return _failure("code", "No tests were executed: a project without tests is not verified.", text, failing)
    return _failure("code", f"The project's own checks failed (exit code {exit_code}).", text, failing)


def _after_good_end(text: str, beside: Beside, failing: list[str]) -> CheckedOutput:
    report = beside.report
    if report is not None and report.failing:
        return _failure("code", "make test ended well, but some of its tests failed.", text, failing)
    if report.executed if report is not None else _PASSED.search(text):
        return CheckedOutput(True, None, None, end_of(text, 1_000))
    return _failure("code", "make test ended well, but no test was executed.", text, [])


def code_failure(reason: str, output: str = "") -> CheckedOutput:
    """A failure that the Developer can repair, found before any test ran."""
    return _failure("code", readable(reason), readable(output), [])


def _trouble(text: str, exit_code: int | None, beside: Beside) -> str | None:
    """What the machine or the network did; None when the code is the cause."""
    if exit_code == NO_ROOM:
        return "The disk is full."
    if exit_code in (-9, 137):
        return "The checks were killed by the machine (out of memory?)."
    if beside.report is not None and beside.report.failing:
        return None
    if _KILLED.fullmatch(text.rstrip().rpartition("\n")[2]):
        return "The checks were killed by the machine (out of memory?)."
    # Only packages are fetched there, by an installer, before any code of the project runs. A full disk has a code.
    if beside.phase == "setup" and registry_is_away("\n".join(_INSTALLERS_LINE.findall(text[-_MAX_TAIL:]))):
        return "Packages could not be downloaded."
    return None


def _failing(text: str) -> list[str]:
    """Lines `path::test - reason` of the short summary, each once, in order."""
    return list(dict.fromkeys(_FAILED_TEST.findall(text)))


def _failure(kind: FailureClass, reason: str, text: str, failing: list[str]) -> CheckedOutput:
    names = [bounded(name, 200) for name in failing[:_MAX_NAMES]]
    more = [f"and {len(failing) - _MAX_NAMES} more"] if len(failing) > _MAX_NAMES else []
    parts = [reason, *(["Failing:", *names, *more] if names else []), "", "End of the output:", end_of(text, _MAX_TAIL)]
    signature = (
        sorted(map(_normal, failing))
        or [_normal(line) for line in _ERROR_LINE.findall(bounded(text, _SEARCHED))[:20]]
        or [_normal(reason)]
    )
    fingerprint = hashlib.sha256("\n".join([kind, *signature]).encode()).hexdigest()[:32]
    return CheckedOutput(False, kind, fingerprint, bounded("\n".join(parts), _MAX_EVIDENCE))


def _normal(line: str) -> str:
    """The line without what differs between two runs of the same failure."""
    for pattern, instead in _NOISE:
        line = pattern.sub(instead, line)
    return line.strip()
