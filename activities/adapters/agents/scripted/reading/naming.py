"""Names of things: the noun of a sentence, and the model and the route that are named after it."""

import re
from collections.abc import Iterable

from .nouns import english, plural, singular, transliterated
from .stop_words import STOP_WORDS
from .wish import Entity, Field, WishError, checked_fields, safe_name

RESERVED = frozenset({"doc", "page", "health", "admin", "secret_status"})


def entity(name: str, fields: Iterable[Field], paths: Iterable[str] = ()) -> Entity:
    """An entity from its name in either number and language. `paths` are routes that the person named."""
    one, many = _one_and_many(name)
    known = safe_name("_".join(one), name)
    if known in RESERVED:
        raise WishError(name)
    default = "-".join(many)
    chosen = next((path for path in paths if path.replace("-", "_") in (known, "_".join(many))), default)
    return Entity(known, chosen, checked_fields(fields, name))


def singular_name(name: str) -> str:
    """What the model is called. Raises WishError for a name that none can have."""
    return safe_name("_".join(_one_and_many(name)[0]), name)


def noun_in(head: str) -> str | None:
    """The last run of words that are not stop words: `A library with books` is about books."""
    if len(head.split()) > 15:
        return None
    runs: list[list[str]] = [[]]
    for token in re.findall(r"[^\s,]+|,", head):
        if token == "," or token.lower().strip("\"'«»().!?") in STOP_WORDS:
            runs.append([])
        else:
            runs[-1].append(token.strip("\"'«»().!?"))
    chosen = next((run for run in reversed(runs) if run), [])
    return " ".join(chosen) if 0 < len(chosen) <= 3 else None


def _one_and_many(name: str) -> tuple[list[str], list[str]]:
    words = _english_words(name)
    if not words:
        raise WishError(name)
    one = [*words[:-1], singular(words[-1])]
    return one, [*words[:-1], words[-1] if one[-1] != words[-1] else plural(words[-1])]


def _english_words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.strip())
    words = re.split(r"[\s_-]+", spaced.lower())
    known = next((noun for word in words if (noun := english(word))), None)
    if known:
        return [known]
    return [transliterated(word) for word in words if word]
