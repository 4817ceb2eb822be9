"""The parts that a model has written: hostile until they are read."""

from collections.abc import Sequence

from contracts.outside_text import cleaned
from contracts.parts import MAX_PARTS, WorkPart, title_of, with_all_words
from contracts.wish_words import cut_at_a_word, says_something


def read_parts(found: Sequence[object], wish: str) -> list[WorkPart] | None:
    """The parts, with every word of the wish; None if they cannot be used: too many, or in words of their own."""
    if not 0 < len(found) <= MAX_PARTS:
        return None
    read = [_part(number, one) for number, one in enumerate(found, start=1)]
    parts = [part for part in read if part is not None]
    return with_all_words(wish, parts) if len(parts) == len(read) else None


def _part(number: int, one: object) -> WorkPart | None:
    if not isinstance(one, dict):
        return None
    words = _excerpts(one.get("words"))
    if not says_something(words):
        return None
    title = " ".join(cleaned(str(one.get("title") or "")).split())
    return WorkPart(
        number=number, title=cut_at_a_word(title, 120) or title_of(words), words=words, after=_after(one, number)
    )


def _excerpts(value: object) -> str:
    found = value if isinstance(value, list) else [value]
    return "\n".join(line for one in found if isinstance(one, str) and (line := cleaned(one).strip()))


def _after(one: dict[object, object], number: int) -> list[int]:
    """What it waits for; a number that is not that of an earlier part says nothing."""
    value = one.get("after")
    found = value if isinstance(value, list) else []
    return sorted({earlier for earlier in found if type(earlier) is int and 1 <= earlier < number})
