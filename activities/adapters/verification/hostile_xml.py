"""XML that a tested project has written, read so that it can do no harm: bounded, as UTF-8, without declarations."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

_PIECE = 64 * 1024


def parse(content: bytes | None, limit: int, target: Any = None) -> Any:  # noqa: ANN401 - what the target makes of it
    """What `target` makes of the document, an element without one; None for more than `limit` bytes or no such XML.

    Blocks: call it in a thread. It is parsed in pieces, since no other thread runs while one is.
    """
    if content is None or len(content) > limit:
        return None
    try:
        # As text, whatever encoding it claims or the parser would guess: in another one the words below look different.
        document = content.decode("utf-8-sig")
        if "\0" in document or "<!DOCTYPE" in document or "<!ENTITY" in document:
            return None
        parser = ElementTree.XMLParser(target=target)
        for start in range(0, len(document), _PIECE):
            parser.feed(document[start : start + _PIECE])
        return parser.close()
    except (ElementTree.ParseError, LookupError, ValueError):
        return None
