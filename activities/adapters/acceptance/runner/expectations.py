"""Compares what was seen with what a step expects. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .values import MISSING, at, filled, filled_text, holds, same, shown, type_of


@dataclass(frozen=True)
class Miss:
    """One thing that is not as expected. `key` is the same in every run; `text` has what was seen."""

    key: str
    text: str


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP. `cut`: its body is longer than what was read."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: bool = False

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return MISSING if self.cut else json.loads(self.body)
        except (ValueError, RecursionError):
            return MISSING


def misses_of_answer(answer: Answer, expected: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Miss]:
    """What is wrong with an answer; `expected` is an HttpExpectation as JSON."""
    found = list(_status(answer.status, expected["status"]))
    for name, part in expected["headers"].items():
        values = [value for known, value in answer.headers if known.lower() == name.lower()]
        wanted = filled_text(part, variables)
        if not any(wanted in value for value in values):
            found.append(Miss(f"header:{name}", f"the header {name} has no {wanted!r}: {shown(values)}"))
    if expected["json"]:
        found += _document(answer, expected["json"], variables)
    return found + misses_of_text(answer.text, expected, variables, exact=True)


def _status(status: int, expected: int | str | None) -> Iterable[Miss]:
    matches = expected is None or status == expected or (isinstance(expected, str) and expected[0] == str(status)[0])
    if not matches:
        yield Miss(f"status:{expected}", f"the status is {status}, expected {expected}")
    elif expected is None and status >= 500:
        yield Miss("status:error", f"the status is {status}")


def _document(answer: Answer, expected: list[dict[str, Any]], variables: Mapping[str, Any]) -> list[Miss]:
    document = answer.json()
    if document is MISSING:
        return [Miss("json", "the answer is no JSON" + (" that fits into 256 KB" if answer.cut else ""))]
    return [miss for one in expected for miss in _value(document, one, variables)]


def _value(document: Any, expected: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterable[Miss]:  # noqa: ANN401
    path, value = expected["path"], at(document, expected["path"])
    place = f"`{path}`" if path else "the answer"
    if expected["absent"]:
        # With [*] the list is there; it must have no item.
        if value is not MISSING and not ("[*]" in path and value == []):
            yield Miss(f"json:{path}:absent", f"{place} is there: {shown(value)}")
        return
    if value is MISSING:
        yield Miss(f"json:{path}:missing", f"there is no {place}")
        return
    for name, wrong in _WRONG.items():
        wanted = filled(expected[name], variables)
        if expected[name] is not None and wrong(value, wanted):
            yield Miss(f"json:{path}:{name}", f"{place} is {shown(value)}, expected {_WORDS[name]}{shown(wanted)}")
    if expected["is_null"] and value is not None:
        yield Miss(f"json:{path}:is_null", f"{place} is {shown(value)}, expected null")


_WRONG: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, wanted: not same(value, wanted),
    "contains": lambda value, wanted: not holds(value, wanted),
    "lacks": lambda value, wanted: holds(value, wanted),
    "type": lambda value, wanted: type_of(value) != wanted and (type_of(value), wanted) != ("integer", "number"),
    "length": lambda value, wanted: _length(value) != wanted,
    "min_length": lambda value, wanted: _length(value) < wanted,
}
_WORDS = {
    "equals": "",
    "contains": "with ",
    "lacks": "without ",
    "type": "a ",
    "length": "a length of ",
    "min_length": "a length of at least ",
}


def _length(value: Any) -> int:  # noqa: ANN401 - any JSON value
    return len(value) if isinstance(value, str | list | dict) else -1


def misses_of_text(
    text: str, expected: Mapping[str, Any], variables: Mapping[str, Any], *, exact: bool, contains: str = "contains",
    lacks: str = "lacks",
) -> list[Miss]:  # fmt: skip
    """`exact`: as it was sent; else as a person reads it, without regard to case and white space."""
    seen = text if exact else plain(text)
    found = []
    for key, wanted_there in ((contains, True), (lacks, False)):
        for part in expected[key]:
            wanted = filled_text(part, variables)
            if ((wanted if exact else plain(wanted)) in seen) != wanted_there:
                word = "does not have" if wanted_there else "has"
                found.append(Miss(f"{key}:{part}", f"it {word} the text {wanted!r}"))
    return found


def plain(text: str) -> str:
    return " ".join(text.casefold().split())
