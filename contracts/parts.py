"""A large wish in parts, done one after the other: what each is, what it waits for, and how far it is."""

import re
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.base import MAX_TEXT, Contract, Identifier, ShortText
from contracts.retries import WorkDone
from contracts.states import PartState
from contracts.wish_words import says_something, unquoted

MAX_PARTS = 12
LARGE = 600
"""Characters of a wish from which on an agent is asked whether it is one piece of work."""
_ORDERED = re.compile(r"(?:^|[\s(])2[.)]\s|\b(?:then|after\s+that|потом|затем|после\s+этого)\b", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\[[a-z]+:[^\]\n]*\]")
_BLANK = re.compile(r"\s+")

PartNumber = Annotated[int, Field(ge=1, le=MAX_PARTS)]


class WorkPart(Contract):
    """A part of a wish, in the words of the wish. It begins when those in `after`, which stand before it, are done."""

    number: PartNumber
    title: ShortText
    words: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
    after: list[PartNumber] = Field(default_factory=list, max_length=MAX_PARTS)

    @model_validator(mode="after")
    def _waits_for_earlier_ones(self) -> Self:
        if any(number >= self.number for number in self.after):
            raise ValueError("a part may only wait for parts that stand before it")
        return self


class TaskPart(WorkPart):
    """A part as people see it. `task_id` is the task that works, or has worked, on it; `blocked_by` the parts that have
    failed and that it waits for."""

    state: PartState = PartState.OPEN
    task_id: Identifier | None = None
    blocked_by: list[PartNumber] = Field(default_factory=list, max_length=MAX_PARTS)


class PartDone(Contract):
    """What an earlier attempt has finished of a part."""

    number: PartNumber
    done: WorkDone


class PartOf(Contract):
    """Which part of which whole a task is, in words for whoever works on it or approves it."""

    number: PartNumber
    total: PartNumber
    plan: list[ShortText] = Field(default_factory=list, max_length=MAX_PARTS)


def may_have_parts(wish: str) -> bool:
    """Whether it is worth a look: it is long, or a person may have given an order."""
    return len(wish) >= LARGE or _ORDERED.search(wish) is not None


def title_of(words: str) -> str:
    """A part in one short line, without what is told to programs of the platform."""
    line = re.sub(r" +([.,;!?])", r"\1", " ".join(_DIRECTIVE.sub(" ", words).split()))
    return line if len(line) <= 120 else f"{line[:119].rsplit(maxsplit=1)[0]}…"


def with_all_words(wish: str, parts: Sequence[WorkPart]) -> list[WorkPart] | None:
    """The parts, the last with the words of the wish that none has. None if a part has words that the wish has not."""
    plain = _plain(wish)
    if any(_plain(line) not in plain for part in parts for line in part.words.splitlines()):
        return None
    left = [run for run in unquoted(wish, [part.words for part in parts]) if says_something(run)]
    if not left:
        return list(parts)
    *before, last = parts
    return [*before, last.model_copy(update={"words": "\n".join([last.words, *left])[:MAX_TEXT]})]


def _plain(text: str) -> str:
    return _BLANK.sub(" ", text).strip().casefold()
