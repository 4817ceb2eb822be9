"""Variables in what is sent and expected, and places in JSON. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

MISSING: Final = object()
"""Nothing is at the place: None is a value."""
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*|secret:[A-Z_][A-Z0-9_]*)\}")
_PART = re.compile(r"\[(-?\d+|\*)\]|([^.\[\]]+)")


class Unusable(Exception):
    """The check cannot be run as it is written; the service is not the cause."""


def filled(value: Any, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """`value` with its variables replaced. A string that is only one becomes the value itself. Raises Unusable."""
    if isinstance(value, str):
        alone = _VARIABLE.fullmatch(value)
        return (
            _value(alone[1], variables)
            if alone
            else _VARIABLE.sub(lambda one: text_of(_value(one[1], variables)), value)
        )
    if isinstance(value, dict):
        return {str(filled(key, variables)): filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, variables) for item in value]
    return value


def filled_text(value: str, variables: Mapping[str, Any]) -> str:
    return text_of(filled(value, variables))


def text_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(name: str, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if name not in variables:
        raise Unusable(f"the check uses {{{name}}}, which this project does not have")
    return variables[name]


def at(document: Any, path: str) -> Any:  # noqa: ANN401 - any JSON value
    """What is at `path`, or MISSING. With `[*]`: the list of what each item has at the rest of it."""
    for found in _PART.finditer(path):
        rest = path[found.end() :].removeprefix(".")
        if found[1] == "*":
            if not isinstance(document, list):
                return MISSING
            return [value for item in document if (value := at(item, rest)) is not MISSING]
        document = _member(document, found[2]) if found[2] else _item(document, int(found[1]))
        if document is MISSING:
            return MISSING
    return document


def _member(document: Any, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return document.get(name, MISSING) if isinstance(document, dict) else MISSING


def _item(document: Any, place: int) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(document, list) or not -len(document) <= place < len(document):
        return MISSING
    return document[place]


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Equal as JSON: `true` is not 1, and 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def holds(whole: Any, part: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a text has the part, a list such a member, an object a member of that name."""
    if isinstance(whole, str):
        return text_of(part) in whole
    if isinstance(whole, list):
        return any(_covers(item, part) for item in whole)
    return isinstance(whole, dict) and part in whole if isinstance(part, str) else _covers(whole, part)


def _covers(whole: Any, part: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Equal; an object may have more members."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _covers(whole[key], value) for key, value in part.items())
    return same(whole, part)


def type_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON's name of the type; a whole number is an integer."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names = {str: "string", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def shown(value: Any, most: int = 200) -> str:  # noqa: ANN401 - any JSON value
    """For a sentence: JSON, cut."""
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"
