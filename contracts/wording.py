"""Values in words: what is wrong with one instead of a regular expression, and how many of something there are."""

from collections.abc import Mapping
from typing import Any, Final

_IN_WORDS: Final = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$": "use letters, digits, dots, dashes and underscores, at most 100, "
    "beginning with a letter or a digit",
    r"^[\x21-\x7e]+$": "give a model as its vendor calls it: no spaces, at most 200 characters",
    r"^w-[A-Za-z0-9._-]{1,98}$": "use `w-` and then letters, digits, dots, dashes and underscores, at most 100 in all",
    r"^-?[A-Za-z0-9][A-Za-z0-9._-]{0,99}$": "give the id of a project, the handle of a server or the number of a chat",
    r"^[0-9a-f]{40}$": "give the whole commit id: 40 characters of 0 to 9 and a to f",
    r"^[0-9a-f]{8,64}$": "give the id of a backup as `backup list` prints it",
    r"^[0-9a-f]{64}$": "give the whole SHA-256: 64 characters of 0 to 9 and a to f",
    r"^[a-z][a-z0-9-]{0,62}$": "use lower-case Latin letters, digits and dashes, at most 63, beginning with a letter",
    r"^[a-z0-9][a-z0-9-]{0,79}$": "use lower-case Latin letters, digits and dashes, at most 80, "
    "beginning with a letter or a digit",
    r"^[a-z][a-z0-9_]{0,62}$": "use lower-case Latin letters, digits and underscores, at most 63, "
    "beginning with a letter",
    r"^[A-Z_][A-Z0-9_]{0,99}$": "use capital letters, digits and underscores, at most 100, not beginning with a digit",
    r"^[A-Za-z0-9._-]{1,100}$": "use letters, digits, dots, dashes and underscores, at most 100",
    r"^\d{4}-\d{2}$": "give a month such as 2026-11",
    r"^[0-9]{4}-[0-9]{2}$": "give a month such as 2026-11",
    r"^[A-Za-z0-9._:/-]*$": "use letters, digits, dots, colons, slashes, dashes and underscores",
    r"^([A-Za-z0-9._-]{1,100}:[0-9]{1,18}(,|$))*$": "give the id of an event as the stream sent it",
    r"^artifact://[0-9a-f]{64}/[A-Za-z0-9._-]{1,100}$": "give an artifact's address as `task show` prints it",
    r"^[A-Za-z0-9][\w.-]{0,99}/[A-Za-z0-9][\w.-]{0,99}$": "give owner and name of a repository: owner/name",
    r"^secret://[A-Za-z0-9._/-]{1,300}$": "give the reference of a secret as `secret list` prints it",
    r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,150}$": "give a branch name of letters, digits, dots, dashes, underscores and "
    "slashes, at most 151",
    r"^([^\s.\[\]]+|\[(-?\d{1,4}|\*)\])?(\.[^\s.\[\]]+|\[(-?\d{1,4}|\*)\])*$": "give a path such as items[0].title: "
    "names of members with dots between them, places in lists in brackets",
    r"^[^\r\n\x00]*$": "give one line of text",
    r"^[a-z0-9][a-z0-9-]{0,39}$": "use lower-case Latin letters, digits and dashes, at most 40, "
    "beginning with a letter or a digit",
    r"^/[^\s#\x00-\x1f]*$": "give the path of a URL, beginning with a slash, without spaces and without a fragment",
}
_OTHERWISE: Final = "this format is not allowed here"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 release`, `2 releases`; `many` is the plural where it has not just an s more."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def dollars(amount: float) -> str:
    """`$1.20`; below a cent as many digits as it takes: `$0.0004`."""
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.4f}"


def duration(seconds: int) -> str:
    """`3 days`, `90 minutes`, `20 seconds`: in the largest unit in which it is a whole number."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def in_words(problem: Mapping[str, Any]) -> str:
    """One error of pydantic's `errors()` (with its context) as a person reads it."""
    if problem["type"] == "string_pattern_mismatch":
        return _IN_WORDS.get(str(problem.get("ctx", {}).get("pattern")), _OTHERWISE)
    return str(problem["msg"]).removeprefix("Value error, ")
