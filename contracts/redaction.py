"""Takes secret values out of text that others will read, in the forms in which programs write values down.

Standard library only: it also runs on servers.
"""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import product
from urllib.parse import quote, quote_plus

HIDDEN = "[secret]"
SHORTEST = 4
"""Shorter values are left: they would hide ordinary words."""
_SHORTEST_LINE = 8
_SHORTEST_CODED = 6
"""Bytes; the base64 form of fewer may appear by chance."""
_UNQUOTED = re.compile(r"[A-Za-z0-9_-]{16,}")
"""A run of characters that no quoting changes."""
_SEEN = 64
"""Characters at a torn end that tell which part of a value they are."""


def redacted(text: str, secrets: Iterable[str], hidden: str = HIDDEN) -> str:
    """`text` without the values: as they are, quoted for JSON, Python, a shell, HTML or a URL, coded in base64 or
    hexadecimal.

    Of a value of several lines, each line is secret as well, and so is every long run of characters that no quoting
    changes. Redact before you cut: part of a value is found only at the cut (`redacted_part`).
    """
    for form in _forms(secrets):
        text = text.replace(form, hidden)
    return text


def redacted_part(text: str, secrets: Iterable[str], hidden: str = HIDDEN) -> str:
    """The same for text that was cut out of something longer: a value that lost its begin or its end goes too."""
    secrets = list(secrets)
    forms = _forms(secrets)
    begun = max((_torn(text, form) for form in forms), default=0)
    text, before = text[begun:], hidden if begun else ""
    ended = max((_torn(text[::-1], form[::-1]) for form in forms), default=0)
    text, after = text[: len(text) - ended], hidden if ended else ""
    return before + redacted(text, secrets, hidden) + after


def _torn(text: str, form: str) -> int:
    """How many characters at the start of `text` are the end of `form`; 0 if there are fewer than a secret needs."""
    head = text[:_SEEN]
    place = form.find(head) if len(head) == _SEEN else -1
    if place >= 0 and text.startswith(form[place:]):
        return len(form) - place
    longest = min(len(form) - 1, _SEEN)
    return next((size for size in range(longest, SHORTEST - 1, -1) if head.startswith(form[-size:])), 0)


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """The forms of all values, the longest first, so that one inside another does not leave half of it."""
    found = {form for secret in secrets for form in _forms_of(secret)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


@lru_cache(maxsize=256)
def _forms_of(secret: str) -> frozenset[str]:
    if len(secret) < SHORTEST:
        return frozenset()
    lines = [line for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE]
    values = {secret, *(line.strip() for line in lines), *_UNQUOTED.findall(secret)}
    found = set(values)
    for value in values:
        quoted = {write(value) for write in _WRITERS}
        # Text in a text: a log record of a reply, a shell command in a file.
        found |= quoted | {again(once) for once, again in product(quoted, _WRITERS)}
        found |= _coded(value.encode("utf-8", "surrogatepass"))
    return frozenset(form for form in found if len(form) >= SHORTEST)


def _json(value: str, *, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)[1:-1]


def _repr(value: str) -> str:
    return repr(value)[1:-1]


def _repr_in_double_quotes(value: str) -> str:
    """The value as Python's repr writes it inside a longer text that also contains a double quote."""
    return repr('"' + value)[2:-1]


def _shell(value: str) -> str:
    text = shlex.quote(value)
    return text[1:-1] if text.startswith("'") else text


def _go_json(value: str) -> str:
    """Go, in which the Temporal server is written, also escapes what HTML would take for its own."""
    text = _json(value, ascii_only=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _lower_percent(value: str) -> str:
    parts = quote(value, safe="", errors="replace").split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


_WRITERS: tuple[Callable[[str], str], ...] = (
    lambda value: _json(value, ascii_only=True),
    lambda value: _json(value, ascii_only=False),
    _go_json,
    _repr,
    _repr_in_double_quotes,
    _shell,
    lambda value: value.replace("'", "'\\''"),
    lambda value: html.escape(value, quote=True),
    lambda value: html.escape(value, quote=False),
    lambda value: html.escape(value, quote=True).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    lambda value: quote(value, safe="", errors="replace"),
    lambda value: quote(value, errors="replace"),
    lambda value: quote_plus(value, errors="replace"),
    _lower_percent,
)


def _coded(value: bytes) -> set[str]:
    """The value in hexadecimal, and in base64 at any offset of a longer text."""
    if len(value) < _SHORTEST_CODED:
        return set()
    found = {value.hex(), value.hex().upper()}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + value)
        text = coded[-(-before * 8 // 6) : (before + len(value)) * 8 // 6].decode()
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found
