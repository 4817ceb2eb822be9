"""What another agent than the one that wrote it says of a change: it reads the diff against the task.

A review is an opinion: it is shown, or sent back once, and decides nothing of what was seen of the running service.
"""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from contracts.base import CommitSha, Contract
from contracts.errors import bounded
from contracts.outside_text import cleaned
from contracts.states import AgentKind
from contracts.wording import counted

MAX_FINDINGS = 20
_MOST_TEXT, _MOST_FILE, _MOST_SUMMARY = 500, 200, 500

Said = Annotated[str, StringConstraints(min_length=1, max_length=_MOST_TEXT)]


class Severity(StrEnum):
    """A blocker speaks against publishing the change as it is, a remark does not."""

    BLOCKER = "blocker"
    REMARK = "remark"


class ReviewFinding(Contract):
    """One thing that a reviewer has found. `file` and `line` are its claims."""

    severity: Severity
    text: Said
    file: str = Field(default="", max_length=_MOST_FILE)
    line: int | None = Field(default=None, ge=1, le=10_000_000)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return f"{self.severity.value}: {f'{place}: ' if place else ''}{self.text}"


class Review(Contract):
    """The review of one commit. `problem` says why there is none; `unread` are changed files that it was not shown.

    `is_authors`: the agent that has read the change, with the same model, has written it too, in a session of its own:
    by the settings, or because the work went on with another agent at a limit.
    """

    commit: CommitSha
    agent: AgentKind
    problem: str = Field(default="", max_length=_MOST_TEXT)
    summary: str = Field(default="", max_length=_MOST_SUMMARY)
    findings: list[ReviewFinding] = Field(default_factory=list, max_length=MAX_FINDINGS)
    unread: int = Field(default=0, ge=0)
    is_authors: bool = False

    @property
    def blockers(self) -> list[ReviewFinding]:
        return [one for one in self.findings if one.severity is Severity.BLOCKER]

    def told(self, limit: int = 4_000) -> str:
        """The review for people: who has read the change, what it says, and what it was not shown."""
        if self.problem:
            return bounded(f"Not reviewed: {self.problem}", limit)
        found = "\n".join(f"- {one}" for one in _blockers_first(self.findings))
        unread = f"\nNot read: {counted(self.unread, 'changed file')}." if self.unread else ""
        reader = f"{self.agent.value}{', which also wrote it' if self.is_authors else ''}"
        head = f"Read by {reader}: {self.summary or _in_short(self.findings)}"
        return bounded(f"{head}\n{found}".rstrip() + unread, limit)

    def fingerprint(self) -> str:
        """The same for the same objections."""
        return hashlib.sha256("\n".join(sorted(map(str, self.blockers))).encode()).hexdigest()[:32]


class Reading(Contract):
    """What a reviewer has written, as far as it can be read. `is_readable`: it is a list of findings at all."""

    is_readable: bool = False
    summary: str = Field(default="", max_length=_MOST_SUMMARY)
    findings: list[ReviewFinding] = Field(default_factory=list, max_length=MAX_FINDINGS)


def read_review(document: str) -> Reading:
    """The findings in JSON that a model wrote: `{"summary": "…", "findings": […]}`. Never raises.

    What is no finding is left out. Blockers come first when there are more than fit. An unknown severity is a blocker:
    a word of the model's own must not turn an objection into a remark.
    """
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return Reading()
    if not isinstance(found, dict) or not isinstance(found.get("findings"), list):
        return Reading()
    findings = [one for one in map(_finding, found["findings"]) if one is not None]
    kept = _blockers_first(findings)[:MAX_FINDINGS]
    return Reading(is_readable=True, summary=_line(found.get("summary"), _MOST_SUMMARY), findings=kept)


def _finding(one: object) -> ReviewFinding | None:
    if not isinstance(one, dict) or not (text := _line(one.get("text"), _MOST_TEXT)):
        return None
    remark = _line(one.get("severity"), 20).lower() == Severity.REMARK
    line = one.get("line")
    known = {"severity": Severity.REMARK if remark else Severity.BLOCKER, "text": text}
    try:
        return ReviewFinding.model_validate({**known, "file": _line(one.get("file"), _MOST_FILE), "line": line})
    except ValidationError:
        return ReviewFinding.model_validate({**known, "file": _line(one.get("file"), _MOST_FILE)})


def _line(value: object, limit: int) -> str:
    """A text on one line, as long as it may be."""
    return " ".join(cleaned(value).split())[:limit].strip() if isinstance(value, str) else ""


def _blockers_first(findings: Sequence[ReviewFinding]) -> list[ReviewFinding]:
    return sorted(findings, key=lambda one: one.severity is not Severity.BLOCKER)


def _in_short(findings: Sequence[ReviewFinding]) -> str:
    blockers = sum(one.severity is Severity.BLOCKER for one in findings)
    return f"{counted(blockers, 'objection')}, {counted(len(findings) - blockers, 'remark')}."
