"""The parts of a wish without a model: what a person has numbered, or put into an order with "then"."""

import re
from collections.abc import Sequence

from activities.adapters.planning.understanding import understood
from contracts.parts import MAX_PARTS, WorkPart, title_of
from contracts.project_spec import ProjectSpec
from contracts.wish_words import says_something

_NUMBER = re.compile(r"(?:^|(?<=[\n.:;!?]))[ \t]*\(?(\d{1,2})[.)][ \t]+")
_THEN = re.compile(
    r"(?:(?<=[.!?;])\s+|\n\s*)(?:and\s+|и\s+)?"
    r"(?:then|after\s+that|потом|затем|после\s+этого)\b[\s,:]*",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"[ \t]*\(\s*(?:after|needs|после)\s+((?:\d{1,2}|[\s,&]|and|и)+)\)", re.IGNORECASE
)  # fmt: skip
_WORDS = re.compile(r"[^\W_][\w-]*")


def parts_of(spec: ProjectSpec) -> list[WorkPart]:
    """Empty for a wish in one piece, and for a specification: it says more than its sentences.

    A numbered part waits for those that it names (`(after 1)`), else for those whose things it speaks of; one that
    begins with "then" waits for the one before it.
    """
    if not is_sentence(spec):
        return []
    numbered = _numbered(spec.description)
    texts = numbered or _bounded(_THEN.split(spec.description))
    if len(texts) < 2 or not all(says_something(text) for text in texts):
        return []
    after = [_named_or_spoken_of(spec, texts, at) if numbered else [at] * (at > 0) for at in range(len(texts))]
    return [
        WorkPart(number=number, title=title_of(words), words=words, after=waits)
        for number, (text, waits) in enumerate(zip(texts, after, strict=True), start=1)
        if (words := _AFTER.sub("", text).strip())
    ]


def is_sentence(spec: ProjectSpec) -> bool:
    """Whether the description is all that a spec says."""
    return not (spec.data or spec.entry_points or spec.acceptance or spec.secrets_required)


def _numbered(wish: str) -> list[str]:
    """What stands behind 1, 2, 3 …; what stands before the first belongs to it."""
    marks: list[re.Match[str]] = []
    for mark in _NUMBER.finditer(wish):
        if int(mark[1]) == len(marks) + 1:
            marks.append(mark)
    if len(marks) < 2:
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(wish)]
    texts = [wish[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    before = wish[: marks[0].start()].strip()
    return _bounded([f"{before}\n{texts[0]}" if before else texts[0], *texts[1:]])


def _bounded(texts: Sequence[str]) -> list[str]:
    """The last part takes what is too many."""
    found = [text.strip() for text in texts if text.strip()]
    return [*found[: MAX_PARTS - 1], *filter(None, ["\n".join(found[MAX_PARTS - 1 :])])]


def _named_or_spoken_of(spec: ProjectSpec, texts: Sequence[str], at: int) -> list[int]:
    named = {int(number) for found in _AFTER.findall(texts[at]) for number in re.findall(r"\d+", found)}
    if named:
        return sorted(number for number in named if 1 <= number <= at)
    words = {word.casefold() for word in _WORDS.findall(texts[at])}
    return [number for number, text in enumerate(texts[:at], start=1) if words & _things(spec, text)]


def _things(spec: ProjectSpec, text: str) -> set[str]:
    """What a part makes, by all names that another part may use for it."""
    made = understood(spec.model_copy(update={"description": _AFTER.sub("", text)}))
    return {name for one in made.entities for name in (one.singular.casefold(), one.path.casefold())}
