"""An OpenAPI description as a writer of checks reads it: where a kind of thing is created, and what it takes.

It comes from the service that is judged: whatever is not as expected counts as not described.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.planning import MAX_API_DESCRIPTION

_MOST_HOPS = 20
_MOST_DEPTH = 100
_LONGEST_PATH = 500
_ASKED_FOR = re.compile(r"/[^\s#{}\x00-\x1f]*")
"""Paths that a check can ask for. One with a parameter is no place where things are created."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, which UTF-8 cannot write."""
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Collection:
    """`properties` are what a new thing may have, by name; `required` what it must have."""

    path: str
    properties: Mapping[str, Schema]
    required: frozenset[str]


@dataclass(frozen=True)
class ApiDescription:
    document: Schema

    @classmethod
    def read(cls, text: str) -> "ApiDescription | None":
        """None for what is no description: not JSON, of a depth that no API has, or too long once written anew."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not _members(document, "paths") or not _is_plain(document):
            return None
        found = cls(document)
        return found if len(found.text()) <= MAX_API_DESCRIPTION else None

    def text(self) -> str:
        """As JSON, without what differs between two runs of one service, such as the release: the same API is the same
        text."""
        kept = {name: value for name, value in self.document.items() if name not in {"info", "servers"}}
        return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def collection(self, names: set[str]) -> Collection | None:
        """Where things are created whose path ends with one of `names`, however spelt; the shortest such path."""
        wanted = {_plain(name) for name in names}
        paths = [path for path in self._creating() if _plain(path.rsplit("/", 1)[-1]) in wanted]
        return self._collection(min(paths, key=len)) if paths else None

    def has_collection(self, names: set[str]) -> bool:
        return self.collection(names) is not None

    def _creating(self) -> Iterator[str]:
        for path, operations in _members(self.document, "paths").items():
            asked = _ASKED_FOR.fullmatch(path) and len(path) <= _LONGEST_PATH
            if asked and isinstance(operations, dict) and "post" in operations:
                yield path.rstrip("/") or "/"

    def _collection(self, path: str) -> Collection:
        paths = _members(self.document, "paths")
        operation = _members(paths.get(path), "post") or _members(paths.get(f"{path}/"), "post")
        content = _members(self._resolved(_members(operation, "requestBody")), "content")
        schema = self._resolved(_members(_members(content, "application/json"), "schema"))
        properties = {name: self._value(one) for name, one in _members(schema, "properties").items()}
        required = schema.get("required")
        named = [one for one in required if isinstance(one, str)] if isinstance(required, list) else []
        return Collection(path, properties, frozenset(named))

    def _value(self, schema: object) -> Schema:
        """A property's own schema: of "this or null" it is this."""
        found = self._resolved(schema if isinstance(schema, dict) else {})
        for key in ("anyOf", "oneOf", "allOf"):
            choices = found.get(key)
            if isinstance(choices, list):
                kinds = [self._resolved(one) for one in choices if isinstance(one, dict)]
                return next((one for one in kinds if one.get("type") != "null"), {})
        return found

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(_MOST_HOPS):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            found: Any = self.document
            for part in reference.removeprefix("#/").split("/"):
                found = found.get(part) if isinstance(found, dict) else None
            schema = found if isinstance(found, dict) else {}
        return {}


def _members(value: object, name: str) -> Schema:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _is_plain(document: object) -> bool:
    """Whether it can be written as JSON in UTF-8 again, without nesting deeper than _MOST_DEPTH."""
    level: list[object] = [document]
    for _ in range(_MOST_DEPTH):
        if not all(map(_can_be_written, level)):
            return False
        level = [one for value in level for one in _inside(value)]
        if not level:
            return True
    return False


def _can_be_written(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, str) or value.isascii() or not _HALF.search(value)


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
