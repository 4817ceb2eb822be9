"""Updates of the Agent Client Protocol as events. Whatever an agent sends, an event is small and of known shape."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .events import Events, bounded

_MAX_TOOLS = 2_000
_SHOWN, _OUTPUT = 2_000, 2_000
_ENDED = {"completed", "failed"}
_PIECES = {"agent_message_chunk": "message", "agent_thought_chunk": "thought"}


@dataclass
class Updates:
    """One session's. `muted` while an old session is loaded, which tells its whole past again."""

    events: Events
    muted: bool = False
    _shown: dict[str, str] = field(default_factory=dict)
    _diffs: set[str] = field(default_factory=set)

    def take(self, params: object) -> None:
        """The parameters of a `session/update`."""
        self.events.alive()
        update = object_of(object_of(params).get("update"))
        kind = str(update.get("sessionUpdate", ""))
        if self.muted:
            return
        if kind in _PIECES:
            self.events.piece(_PIECES[kind], text_of(update.get("content")))
        elif kind in {"tool_call", "tool_call_update"}:
            self._tool(update)
        elif kind == "plan":
            entries = [object_of(one) for one in list_of(update.get("entries"))]
            plan = "\n".join(f"[{one.get('status', '')}] {one.get('content', '')}" for one in entries)
            self.events.update("plan", plan)
        elif kind == "usage_update":
            self._usage(update)

    def _tool(self, update: dict[str, Any]) -> None:
        tool_id, status = str(update.get("toolCallId", ""))[:200], str(update.get("status", ""))[:40]
        title = str(update.get("title") or "")
        wanted = object_of(update.get("rawInput"))
        command = words_of(wanted.get("command") or wanted.get("cmd"))
        # Announced empty, completed later, and repeated: shown once it says something, and when that changes.
        shown = command or title
        if shown and self._shown.get(tool_id) != shown and len(self._shown) < _MAX_TOOLS:
            self._shown[tool_id] = shown
            kind = "command" if command else "tool"
            self.events.update(kind, shown, id=tool_id, tool=str(update.get("kind") or "")[:40], path=_path_of(update))
        for part in list_of(update.get("content")):
            self._content(tool_id, object_of(part))
        if status in _ENDED:
            output = _output_of(update)
            self.events.update("result", output, id=tool_id, status=status)

    def _content(self, tool_id: str, part: dict[str, Any]) -> None:
        """A change of a file: some agents show it before, some after, some twice."""
        path = str(part.get("path", ""))[:500]
        key = f"{tool_id} {path}"
        if part.get("type") != "diff" or key in self._diffs or len(self._diffs) >= _MAX_TOOLS:
            return
        self._diffs.add(key)
        old, new = (text if isinstance(text := part.get(name), str) else "" for name in ("oldText", "newText"))
        self.events.update(
            "diff",
            bounded(new, _SHOWN),
            id=tool_id,
            path=path,
            lines_before=old.count("\n"),
            lines_after=new.count("\n"),
        )

    def _usage(self, update: dict[str, Any]) -> None:
        cost = object_of(update.get("cost"))
        facts = {"context_tokens": number_of(update.get("used")), "context_size": number_of(update.get("size"))}
        if cost.get("currency", "USD") == "USD":
            facts["cost_usd"] = number_of(cost.get("amount"))
        self.events.note("usage", **{name: value for name, value in facts.items() if value is not None})


def usage_facts(reply: dict[str, Any]) -> dict[str, float]:
    """The tokens in a reply to `session/prompt`, as far as the agent admits them."""
    usage = object_of(reply.get("usage"))
    names = {"inputTokens": "input_tokens", "outputTokens": "output_tokens", "cachedReadTokens": "cache_read_tokens",
             "cachedWriteTokens": "cache_write_tokens"}  # fmt: skip
    found = {ours: number_of(usage.get(theirs)) for theirs, ours in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _output_of(update: dict[str, Any]) -> str:
    texts = [text_of(object_of(part).get("content")) for part in list_of(update.get("content"))]
    said = "\n".join(text for text in texts if text)
    if not said and update.get("rawOutput") is not None:
        raw = update["rawOutput"]
        said = raw if isinstance(raw, str) else words_of(object_of(raw).get("formatted_output")) or json.dumps(raw)
    return bounded(said, _OUTPUT)


def _path_of(update: dict[str, Any]) -> str:
    places = [object_of(one).get("path") for one in list_of(update.get("locations"))]
    return str(next((one for one in places if one), ""))[:500]


def text_of(content: object) -> str:
    """The text of a content block."""
    text = object_of(content).get("text")
    return text if isinstance(text, str) else ""


def words_of(value: object) -> str:
    """A command, which some agents send as a list of words."""
    if isinstance(value, list):
        return " ".join(str(word) for word in value[:100])
    return value if isinstance(value, str) else ""


def object_of(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    return value[:200] if isinstance(value, list) else []


def number_of(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return value if good and isinstance(value, int | float) else None
