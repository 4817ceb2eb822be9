"""Text from outside: of a known encoding, and without what no argument and no database can hold."""

import codecs
import re

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Longer ones first: that of UTF-16 begins that of UTF-32."""


def decoded(content: bytes) -> str | None:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, without the mark.

    None for what is no text in one of these, and for one with control characters, such as a NUL: UTF-16 without its
    mark looks like that.
    """
    mark = next((name for start, name in _MARKS if content.startswith(start)), "utf-8")
    try:
        text = content.decode(mark)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text
