"""Scenarios in the text of a person: `[model:write hello.txt Hello]`, one after the other.

    say TEXT | write PATH TEXT | run COMMAND | commit MESSAGE | ask QUESTION | choice | choice | fail TEXT | done TEXT
    loop [COMMAND] | unknown-tool | nothing | slow SECONDS | huge BYTES | scenario NAME
    status CODE [times=N] [for=SECONDS] [reset=SECONDS]     (400 alone is short for status 400)
    overflow | stall | cut | drop, each with [times=N]

Brackets inside are allowed in pairs; `\\n` is a new line.
"""

import re
from collections.abc import Iterator, Mapping

from emulators.model.steps import FAULTS, Do, Scenario, Step

BEGIN = "[model:"
_OPTION = re.compile(r"^(times|for|reset)=([0-9.]+)$")
_FIELDS = {"times": "times", "for": "for_s", "reset": "reset_s"}


class UnknownDirective(Exception):
    """A directive that cannot be read. The text says which."""


def find(text: str) -> list[str]:
    """The directives of a text, without their brackets."""
    return list(_bodies(text))


def steps(text: str, named: Mapping[str, Scenario]) -> tuple[Step, ...]:
    """The steps that the directives of a text prescribe; `named` are the scenarios that it may refer to."""
    return tuple(step for body in find(text) for step in _read(body, named))


def _bodies(text: str) -> Iterator[str]:
    start = text.find(BEGIN)
    while start >= 0:
        depth, end = 0, start
        for end in range(start, len(text)):
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            if depth == 0:
                yield text[start + len(BEGIN) : end]
                break
        start = text.find(BEGIN, max(end, start + 1))


def _read(body: str, named: Mapping[str, Scenario]) -> tuple[Step, ...]:
    word, _, rest = body.partition(" ")
    rest = rest.strip()
    if word == "scenario":
        if rest not in named:
            raise UnknownDirective(f"no scenario is called {rest!r}; known: {', '.join(sorted(named)) or 'none'}")
        return named[rest].steps
    if word.isdigit():
        word, rest = "status", f"{word} {rest}"
    try:
        return (_step(Do(word), rest.replace("\\n", "\n")),)
    except ValueError as error:
        raise UnknownDirective(f"[model:{body[:80]}]: {error}") from None


def _step(do: Do, rest: str) -> Step:
    if do is Do.WRITE:
        path, _, text = rest.partition(" ")
        return Step(do=do, path=path, text=text)
    if do is Do.ASK:
        question, *choices = (part.strip() for part in rest.split("|"))
        return Step(do=do, text=question, choices=tuple(choices))
    if do is Do.SLOW:
        return Step(do=do, seconds=float(rest or 5))
    if do is Do.HUGE:
        return Step(do=do, size=int(rest or 2_000_000))
    if do in FAULTS:
        return _fault(do, rest.split())
    return Step(do=do, text=rest)


def _fault(do: Do, words: list[str]) -> Step:
    values: dict[str, str] = {}
    for word in words:
        if option := _OPTION.match(word):
            values[_FIELDS[option.group(1)]] = option.group(2)
        elif do is Do.STATUS and word.isdigit():
            values["status"] = word
        else:
            raise ValueError(f"{word!r} is no option of {do}")
    return Step.model_validate({"do": do, **values})
