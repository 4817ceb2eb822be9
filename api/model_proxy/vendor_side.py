"""What a request would have the vendor do by itself: fetch, search, run, remember, or go on without the proxy.

An agent's container reaches only what its project may reach. A tool that runs at the vendor reaches everything, and a
body that only names something, which the vendor then fetches, tells the proxy nothing about its size. What is known to
stay between agent and proxy passes; the rest is refused, so that a new tool of a vendor does not pass by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

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


def unpriced(document: Json) -> str | None:
    """Why a request can never be counted, and is refused whatever the operator allows."""
    if document.get("background"):
        return "A response in the background is refused: nobody would count what it costs."
    tier = document.get("service_tier")
    if tier is not None and not _is_one_of(tier, _USUAL_TIERS):
        return "This service tier is refused: the platform does not know its price."
    if document.get("speed") not in (None, "standard"):
        return "This speed is refused: the platform does not know its price."
    return None


def vendor_side(api: str, document: Json) -> str | None:
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
