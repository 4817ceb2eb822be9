"""What a project remembers: a file of its repository that agents read and extend, and people see and edit."""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.base import Contract, Identifier, UserId, utc_now
from contracts.outside_text import cleaned

PATH = "MEMORY.md"
MAX_MEMORY = 20_000
"""Characters of a memory. Of a longer one in the repository only the beginning is known to the platform."""
MAX_FAILURES = 20
_MOST_LINE = 240
_HEADING = "## Earlier failures"
_NOT_SHOWN = re.compile(r"[`<>\[\]|\\]")
_TELLING = re.compile(r"^(?:FAILED|ERROR|E  )|\b\w*(?:Error|Exception)\b|\berror:", re.MULTILINE)

MemoryText = Annotated[str, StringConstraints(max_length=MAX_MEMORY)]


class FailureNote(Contract):
    """Something that went wrong in a task, in one line. The same `key` is the same failure."""

    key: str = Field(min_length=1, max_length=200)
    line: str = Field(min_length=1, max_length=_MOST_LINE)
    noted_at: AwareDatetime = Field(default_factory=utc_now)


class FailureReport(Contract):
    """Something that went wrong, with what programs have printed about it. `evidence` is a part of it at most."""

    key: str = Field(min_length=1, max_length=200)
    what: str = Field(min_length=1, max_length=100)
    evidence: str = Field(default="", max_length=8_000)


class MemoryToWrite(Contract):
    """What is not in the repository yet: a person's text, which takes the place of the file, and failures."""

    edited: MemoryText | None = None
    failures: list[FailureNote] = Field(default_factory=list, max_length=MAX_FAILURES)


class MemoryPublished(Contract):
    """The file as a task has brought it to main."""

    task_id: Identifier
    commit: str = Field(min_length=1, max_length=40)
    text: MemoryText


class MemoryEdit(Contract):
    """Replace the memory. With `revision`, only the one that was read: otherwise it is a CONFLICT."""

    text: MemoryText
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class ProjectMemory(Contract):
    """A project's memory. `pending`: what a person or a failure has added becomes part of the repository with the next
    task; `commit` is the one whose file is known."""

    text: str = ""
    revision: str
    commit: str | None = None
    pending: bool = False
    edited_by: UserId | None = None
    edited_at: AwareDatetime | None = None


def revision_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def failure_line(what: str, evidence: str) -> str:
    """One line about a failure. `evidence` is written by programs of others: it stands as code, and is no markup."""
    lines = [" ".join(line.split()) for line in cleaned(evidence).splitlines()]
    shown = [line for line in lines if line]
    telling = next((line for line in shown if _TELLING.search(line)), shown[0] if shown else "")
    plain = _NOT_SHOWN.sub(" ", telling)[: _MOST_LINE - len(what) - 6].strip()
    return f"{what}: `{plain}`" if plain else what[:_MOST_LINE]


def merged(text: str, pending: MemoryToWrite) -> str:
    """The file with what is not in it yet. Of its failures the newest stay."""
    base = text if pending.edited is None else pending.edited
    new = [f"- {one.line}" for one in pending.failures if f"- {one.line}" not in base]
    return with_failures(base, new)[:MAX_MEMORY] if new else base


def with_failures(text: str, lines: Sequence[str]) -> str:
    """`lines` at the end of the section of failures, which is made where there is none."""
    if _HEADING not in text.splitlines():
        text = f"{text.rstrip()}\n\n{_HEADING}\n".lstrip("\n")
    before, _, rest = text.partition(f"{_HEADING}\n")
    section, mark, after = rest.partition("\n## ")
    known = [line for line in section.rstrip().splitlines() if line.startswith("- ")]
    said = [line for line in section.rstrip().splitlines() if not line.startswith("- ")]
    kept = [*known, *lines][-MAX_FAILURES:]
    section = "\n".join([*said, *kept])
    return f"{before}{_HEADING}\n{section}\n{mark}{after}"


def with_new_lines(edited: str, before: str, after: str) -> str:
    """A person's text with the lines that the repository has got meanwhile."""
    known = {*before.splitlines(), *edited.splitlines()}
    new = [line for line in after.splitlines() if line.strip() and line not in known]
    return "\n".join([edited.rstrip(), *new, ""])[:MAX_MEMORY] if new else edited
