"""What a request asks for, as far as the proxy must know it: the model, how much it may write, and what is refused.

An agent's container reaches only what its project may reach. A tool that runs at the vendor reaches everything, and a
body that only names something, which the vendor then fetches, tells the proxy nothing about its size. What is known to
stay between agent and proxy passes; the rest is refused, so that a new tool of a vendor does not pass by itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

MOST_OUTPUT = 128_000
"""Tokens that an answer may have whose request names no limit: as many as the largest models write."""
_HIGHEST_LIMIT = 1_000_000
_MAX_MODEL = 200
_MAX_ANSWERS = 128
_LIMITS = {
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "chat": ("max_completion_tokens", "max_tokens"),
}

_OWN_TOOLS = {
    "messages": ("custom", "bash_", "text_editor_", "memory_", "tool_search_tool_"),
    "responses": ("function", "custom", "local_shell", "apply_patch", "namespace", "tool_search"),
    "chat": ("function", "custom"),
}
"""Types of tools that the agent runs itself, or that only find others of its own. With `_`: how they begin."""
_FIELDS = {
    "messages": ("mcp_servers", "container"),
    "responses": ("previous_response_id", "conversation", "prompt"),
    "chat": ("web_search_options",),
}
"""Fields that connect the vendor to something else, or go on with what it has kept."""
_OWN_SOURCES = frozenset({"base64", "text", "content"})
_USUAL_TIERS = frozenset({"auto", "default", "standard", "standard_only", "flex"})


class NotAsked(Exception):
    """The request is not one that may be sent. The text is for the agent."""


@dataclass(frozen=True)
class Question:
    """`most_output` is how many tokens its answer may have at most, all of its choices together."""

    model: str
    is_stream: bool
    most_output: int


def read(api: str, body: bytes, *, allow_vendor_side: bool) -> Question:
    """The request of this API. Raises NotAsked, also for what would run at the vendor, beyond what the agent may do."""
    document = _document(body)
    model = document.get("model")
    if not isinstance(model, str) or not model.isprintable() or not 1 <= len(model) <= _MAX_MODEL:
        raise NotAsked("The request is no JSON object that names a model.")
    if (refused := _unpriced(document)) is not None:
        raise NotAsked(refused)
    if not allow_vendor_side and (found := _vendor_side(api, document)) is not None:
        raise NotAsked(
            f"{found} is refused: the vendor would do it, outside of what this agent may reach or what is counted. "
            "The operator of the platform can allow it with ORCHESTRATOR_MODEL_VENDOR_TOOLS=true."
        )
    return Question(model, document.get("stream") is True, _most_output(api, document))


def _document(body: bytes) -> Json:
    try:
        document = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise NotAsked("The request is no JSON object that names a model.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises NotAsked for a name that comes twice: the vendor might read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAsked("The request has a JSON object with the same name twice.")
    return found


def _most_output(api: str, document: Json) -> int:
    said = [document.get(name) for name in _LIMITS.get(api, ())]
    limits = [limit for limit in said if type(limit) is int and limit > 0]
    most = min(max(limits), _HIGHEST_LIMIT) if limits else MOST_OUTPUT
    return most * _answers(document) if api == "chat" else most


def _answers(document: Json) -> int:
    """How many answers to one question are asked for, which are all billed."""
    wanted = document.get("n")
    return min(wanted, _MAX_ANSWERS) if type(wanted) is int and wanted > 1 else 1


def _unpriced(document: Json) -> str | None:
    """Why a request can never be counted, and is refused whatever the operator allows."""
    if document.get("background"):
        return "A response in the background is refused: nobody would count what it costs."
    tier = document.get("service_tier")
    if tier is not None and not _is_one_of(tier, _USUAL_TIERS):
        return "This service tier is refused: the platform does not know its price."
    if document.get("speed") not in (None, "standard"):
        return "This speed is refused: the platform does not know its price."
    return None


def _vendor_side(api: str, document: Json) -> str | None:
    """What the vendor would do by itself, in words; None if nothing. Whatever the shape of the request is."""
    api = "messages" if api == "count_tokens" else api
    for field in _FIELDS[api]:
        if document.get(field):
            return f"`{field}`"
    for tool in _tools(document.get("tools")):
        if not _is_own(api, tool):
            return f"The tool {_shown(tool.get('type'))}"
    look = {"messages": _in_block, "responses": _in_item, "chat": _in_part}[api]
    for name in ("system", "messages", "input", "instructions"):
        for part in _parts(document.get(name)):
            if (found := look(part)) is not None:
                return found
    return None


def _tools(value: object) -> Iterator[Json]:
    """The tools, also those inside of a group of tools."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, Mapping):
            yield one
            waiting.append(one.get("tools"))


def _is_own(api: str, tool: Json) -> bool:
    kind = tool.get("type")
    if kind is None:
        return api == "messages"
    return isinstance(kind, str) and any(
        kind.startswith(own) if own.endswith("_") else kind == own for own in _OWN_TOOLS[api]
    )


def _parts(value: object) -> Iterator[Json]:
    """Everything that can be content: lists of parts and what is inside of these. Not the arguments of calls."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, Mapping):
            yield one
            waiting.extend(one.get(name) for name in ("content", "output"))
            if isinstance(source := one.get("source"), Mapping):
                waiting.append(source.get("content"))


def _in_block(block: Json) -> str | None:
    source = block.get("source")
    if isinstance(source, Mapping) and not _is_one_of(source.get("type"), _OWN_SOURCES):
        return f"A source of the type {_shown(source.get('type'))}"
    if block.get("type") == "container_upload" or block.get("file_id"):
        return "A file that the vendor keeps"
    return None


def _in_item(item: Json) -> str | None:
    if item.get("type") == "item_reference" or (item.get("type") is None and "id" in item and "role" not in item):
        return "An item that the vendor keeps"
    return _in_part(item)


def _in_part(part: Json) -> str | None:
    for holder in (part, part.get("file"), part.get("input_file")):
        if isinstance(holder, Mapping) and holder.get("file_id"):
            return "A file that the vendor keeps"
    if part.get("file_url"):
        return "A file at a URL"
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if url is not None and not (isinstance(url, str) and url[:5].lower() == "data:"):
        return "An image at a URL"
    return None


def _is_one_of(value: object, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _shown(kind: object) -> str:
    return repr(kind[:60]) if isinstance(kind, str) and kind.isprintable() else "without a known type"
