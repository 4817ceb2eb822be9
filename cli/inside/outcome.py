"""The file in which a turn says how it ended. The platform believes none of it: it reads git and runs the tests."""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "ORCHESTRATOR_OUTCOME"
MAX_BYTES = 240 * 1024
"""Somewhat less than the platform reads."""
MAX_TEXT, MAX_CHOICE, MAX_CHOICES, MAX_ITEMS = 20_000, 200, 10, 50


class Refused(Exception):
    """Its text says what is wrong and what to do instead."""


@dataclass(frozen=True)
class Outcome:
    """`status`: done, question or failed. `left_out` are clauses of the description that were not built."""

    status: str
    summary: str = ""
    question: str = ""
    choices: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def written(self) -> bytes:
        """As the platform reads it."""
        states = [*((text, "open") for text in self.built), *((text, "not_met") for text in self.left_out)]
        said: dict[str, object] = {"status": self.status, "summary": self.summary}
        if self.question:
            said |= {"question": self.question, "choices": self.choices}
        if self.files:
            said["files"] = self.files
        if states:
            said["criteria"] = [{"sentence": text, "words": text, "state": state} for text, state in states]
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


def save(outcome: Outcome) -> None:
    """Write the outcome, whole or not at all; a later one replaces it. Raises Refused."""
    place = os.environ.get(VARIABLE, "")
    if not place:
        raise Refused(f"{VARIABLE} is not set: this is not a turn of the platform, so nobody would read it.")
    content = outcome.written()
    if len(content) > MAX_BYTES:
        raise Refused(f"That is more than {MAX_BYTES // 1024} KB. Say it shorter, and put the rest into a file.")
    target = Path(place)
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".outcome-", delete=False) as draft:
            draft.write(content)
        os.replace(draft.name, target)
    except OSError as error:
        raise Refused(f"The outcome cannot be written: {error.strerror}.") from None
