"""How many tokens a request and its answer have: a fixed rule, so that two counts of the same thing are equal."""

import json
import math

from emulators.model.exchange import Answer, Asked, Usage

_BYTES_PER_TOKEN = 4
_LEAST_CACHED = 1024


def count(text: str) -> int:
    """Tokens of a text: a quarter of its bytes, rounded up; at least 1."""
    return max(1, math.ceil(len(text.encode()) / _BYTES_PER_TOKEN))


def of_answer(answer: Answer) -> int:
    return count(answer.text if answer.call is None else json.dumps(answer.call.arguments) + answer.call.tool.name)


def of_input(asked: Asked) -> int:
    return max(1, math.ceil(asked.size / _BYTES_PER_TOKEN))


class Caches:
    """What each account has sent before, by model: the start of a longer request is read from the cache."""

    def __init__(self) -> None:
        self._longest: dict[tuple[str, str], int] = {}

    def usage(self, key: str, asked: Asked, answer: Answer) -> Usage:
        """What the request is billed. Without marks for the cache, its input is fresh."""
        whole, output = of_input(asked), of_answer(answer)
        if not asked.cached or whole < _LEAST_CACHED:
            return Usage(fresh=whole, output=output)
        before = self._longest.get((key, asked.model), 0)
        self._longest[key, asked.model] = max(before, whole)
        fresh = whole % 16 + 1
        read = min(before, whole - fresh)
        if asked.writes_free:
            return Usage(fresh=whole - read, cache_read=read, output=output)
        return Usage(fresh=fresh, cache_read=read, cache_write=whole - fresh - read, output=output)
