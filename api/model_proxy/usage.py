"""What a request has used, in tokens, as an answer says it; whatever it says is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MOST = 10**9
"""More tokens than any answer has: a larger number is no count."""


@dataclass(frozen=True)
class TokenUse:
    """`input` are tokens that no cache was read or written for; `cache_write_1h` is a part of `cache_write`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    web_searches: int = 0

    @staticmethod
    def of_messages(usage: Mapping[str, Any], before: "TokenUse | None" = None) -> "TokenUse | None":
        """From the Messages API, where each event repeats the sums that it knows; None if a number is none."""
        known = before or TokenUse()
        writes, tools = _part(usage, "cache_creation"), _part(usage, "server_tool_use")
        found = {
            "input": _count(usage, "input_tokens", known.input),
            "output": _count(usage, "output_tokens", known.output),
            "cache_read": _count(usage, "cache_read_input_tokens", known.cache_read),
            "cache_write": _count(usage, "cache_creation_input_tokens", known.cache_write),
            "cache_write_1h": _count(writes, "ephemeral_1h_input_tokens", known.cache_write_1h),
            "web_searches": _count(tools, "web_search_requests", known.web_searches),
        }
        use = replace(known, **{name: count for name, count in found.items() if count is not None})
        return None if None in found.values() or use.cache_write_1h > use.cache_write else use

    @staticmethod
    def of_openai(usage: Mapping[str, Any]) -> "TokenUse | None":
        """From the Responses or Chat Completions API, whose input includes what a cache had."""
        read, write = 0, 0
        for name in ("input_tokens_details", "prompt_tokens_details"):
            details = _part(usage, name)
            cached, written = _count(details, "cached_tokens", read), _count(details, "cache_write_tokens", write)
            if cached is None or written is None:
                return None
            read, write = cached, written
        sent = _count(usage, "input_tokens", _count(usage, "prompt_tokens", -1))
        received = _count(usage, "output_tokens", _count(usage, "completion_tokens", -1))
        if sent is None or received is None or sent < read + write or received < 0:
            return None
        return TokenUse(input=sent - read - write, output=received, cache_read=read, cache_write=write)


def _part(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, Mapping) else {}


def _count(usage: Mapping[str, Any], name: str, missing: int | None) -> int | None:
    """A count; `missing` if it is not said, None if what is said is no count."""
    value = usage.get(name)
    if value is None:
        return missing
    return value if type(value) is int and 0 <= value <= MOST else None
