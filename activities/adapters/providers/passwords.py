"""The new password in the results of a task: they are a text, or a piece of a web page that shows it on a click."""

import html
import re

_SHOWN_ON_CLICK = re.compile(r"""innerHTML\s*=\s*(["'])((?:\\.|(?!\1).)*)\1""", re.DOTALL)
_PLAIN_TAG = re.compile(r"</?(?:b|strong|code|pre|span|p|br|td|tr|div|i|em)\b[^>]*>", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LABELLED = re.compile(r"\bpassword\b[^\S\n]*:\s*(\S+)", re.IGNORECASE)


def password_of(results: str) -> str | None:
    """The password, or None where there is none. Never the words of a link such as "click to show"."""
    for text in (results, html.unescape(results)):
        if shown := _SHOWN_ON_CLICK.search(text):
            value = html.unescape(_ESCAPED.sub(r"\1", shown[2]))
            return value or None
    found = _LABELLED.search(results)
    if found is None or not ("</" in results or found[1].startswith("<")):
        return found[1] if found else None
    # A web page: what looks like a tag is one, and a link is none of the tags that only change how text looks.
    found = _LABELLED.search(_PLAIN_TAG.sub(" ", results))
    return None if found is None or found[1].startswith("<") else html.unescape(found[1])
