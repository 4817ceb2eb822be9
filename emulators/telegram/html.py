"""Parses Telegram's HTML into plain text and entities, or refuses it with Telegram's own errors."""

import re
from dataclasses import dataclass
from typing import Any

from emulators.telegram.errors import ApiError, bad_request

_TYPES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
}
_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot));?")
_ATTRIBUTE = re.compile(r"""\s+([a-zA-Z-]+)\s*(?:=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_TAG_NAME = re.compile(r"[^\s>/]*")

Entity = dict[str, Any]


@dataclass
class _Open:
    tag: str
    offset: int
    attributes: dict[str, str]


def parse(source: str) -> tuple[str, list[Entity]]:
    """Plain text and its entities, with offsets in UTF-16 units. Raises ApiError "can't parse entities: …"."""
    return _Parser(source).run()


def length(text: str) -> int:
    """Length in UTF-16 code units, Telegram's unit."""
    return len(text.encode("utf-16-le")) // 2


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._text: list[str] = []
        self._length = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def run(self) -> tuple[str, list[Entity]]:
        while self._at < len(self._source):
            if self._source[self._at] == "<":
                self._tag()
            else:
                self._character()
        if self._open:
            raise _refused(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')
        return _trimmed("".join(self._text), sorted(self._entities, key=_order))

    def _character(self) -> None:
        match = _REFERENCE.match(self._source, self._at)
        if match is None:
            self._add(self._source[self._at])
            self._at += 1
            return
        decimal, hexadecimal, name = match.groups()
        code = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else None
        self._add(_CHARACTERS[name] if code is None else chr(code))
        self._at = match.end()

    def _add(self, text: str) -> None:
        self._text.append(text)
        self._length += length(text)

    def _tag(self) -> None:
        begin = self._at
        if self._source.startswith("</", begin):
            self._end_tag(begin)
        else:
            self._start_tag(begin)

    def _start_tag(self, begin: int) -> None:
        match = _TAG_NAME.match(self._source, begin + 1)
        name = match.group().lower() if match else ""
        if self._source.find(">", begin) < 0:
            raise _refused(f"Unclosed start tag at byte offset {self._bytes(begin)}")
        if name not in _TYPES:
            raise _refused(f'Unsupported start tag "{name}" at byte offset {self._bytes(begin)}')
        attributes, end = self._attributes(begin + 1 + len(name))
        if end >= len(self._source) or self._source[end] != ">":
            raise _refused(f'Unclosed start tag "{name}" at byte offset {self._bytes(begin)}')
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise _refused(f'Tag "span" must have class "tg-spoiler" at byte offset {self._bytes(begin)}')
        self._open.append(_Open(name, self._length, attributes))
        self._at = end + 1

    def _attributes(self, at: int) -> tuple[dict[str, str], int]:
        found = {}
        while (match := _ATTRIBUTE.match(self._source, at)) is not None:
            found[match[1].lower()] = _unquoted(match[2] or "")
            at = match.end()
        while at < len(self._source) and self._source[at].isspace():
            at += 1
        return found, at

    def _end_tag(self, begin: int) -> None:
        end = self._source.find(">", begin)
        if end < 0:
            raise _refused(f"Unclosed end tag at byte offset {self._bytes(begin)}")
        if not self._open:
            raise _refused(f"Unexpected end tag at byte offset {self._bytes(begin)}")
        name = self._source[begin + 2 : end].strip().lower()
        opened = self._open.pop()
        if name and name != opened.tag:
            raise _refused(
                f'Unmatched end tag at byte offset {self._bytes(begin)}, expected "</{opened.tag}>", found "</{name}>"'
            )
        self._close(opened)
        self._at = end + 1

    def _close(self, opened: _Open) -> None:
        size = self._length - opened.offset
        if size == 0:
            return
        entity: Entity = {"type": _TYPES[opened.tag], "offset": opened.offset, "length": size}
        if opened.tag == "a":
            if not opened.attributes.get("href"):
                # Telegram keeps the text of a link without an address and drops the link.
                return
            entity["url"] = opened.attributes["href"]
        self._entities.append(entity)

    def _bytes(self, at: int) -> int:
        return len(self._source[:at].encode())


def _unquoted(value: str) -> str:
    bare = value[1:-1] if value[:1] in {'"', "'"} else value
    return _REFERENCE.sub(lambda match: _CHARACTERS.get(match[3] or "", match[0]), bare)


def _order(entity: Entity) -> tuple[int, int]:
    return int(entity["offset"]), -int(entity["length"])


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Strip white space at both ends and shorten the entities accordingly."""
    lead = length(text) - length(text.lstrip())
    plain = text.strip()
    kept = []
    for entity in entities:
        begin = max(0, entity["offset"] - lead)
        end = min(length(plain), entity["offset"] - lead + entity["length"])
        if end > begin:
            kept.append({**entity, "offset": begin, "length": end - begin})
    return plain, kept


def _refused(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")
