"""The `stream-json` lines of Claude Code, which the scripted agent writes too.

Everything that an agent writes is untrusted: lines may be garbage, endless, or claim anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from activities.adapters.agents.base import AgentReport
from activities.adapters.runs.follower import Shown
from contracts.errors import bounded
from contracts.progress import FineKind

_MAX_EVENT = 600
_MAX_TEXT = 20_000
_MAX_SESSION_ID = 200
_SHOWN_ARGUMENTS = ("file_path", "path", "command", "pattern", "query", "url", "description")


@dataclass
class StreamJson:
    """The `stream-json` lines of Claude Code, which the scripted agent writes too."""

    report: AgentReport = field(default_factory=AgentReport)

    def feed(self, line: bytes) -> list[str]:
        event = _object(line)
        if event is None:
            text = line.decode(errors="replace").strip()
            if "No conversation found with session ID" in text:
                self.report.session_unknown = True
            return [bounded(text, _MAX_EVENT)] if text else []
        session_id = event.get("session_id")
        if isinstance(session_id, str) and 0 < len(session_id) <= _MAX_SESSION_ID:
            self.report.session_id = session_id
        if event.get("type") == "result":
            self._finish(event)
            return []
        return _shown(event) if event.get("type") == "assistant" else []

    def _finish(self, event: dict[str, Any]) -> None:
        usage = event.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        errors = event.get("errors")
        text = event.get("result") or (" ".join(map(str, errors)) if isinstance(errors, list) else "")
        self.report.finished = True
        self.report.is_error = event.get("is_error") is True or event.get("subtype") != "success"
        self.report.text = bounded(str(text), _MAX_TEXT)
        self.report.session_unknown |= "No conversation found with session ID" in str(text)
        self.report.cost_usd = _number(event.get("total_cost_usd"))
        self.report.input_tokens = _total(
            usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"
        )
        self.report.output_tokens = _total(usage, "output_tokens")


def _shown(event: dict[str, Any]) -> list[str]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content[:50] if isinstance(content, list) else []
    lines = ((_block(block), block) for block in blocks if isinstance(block, dict))
    return [Shown(bounded(line, _MAX_EVENT), _kind(block)) for line, block in lines if line.strip()]


def _kind(block: dict[str, Any]) -> FineKind:
    if block.get("type") != "tool_use":
        return "message"
    arguments = block.get("input")
    return "command" if isinstance(arguments, dict) and arguments.get("command") else "tool"


def _block(block: dict[str, Any]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    if block.get("type") != "tool_use":
        return ""
    arguments = block.get("input")
    known = arguments if isinstance(arguments, dict) else {}
    detail = next((str(known[key]) for key in _SHOWN_ARGUMENTS if known.get(key)), "")
    return f"{block.get('name', 'tool')}: {detail}" if detail else str(block.get("name", "tool"))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if good and isinstance(value, int | float) else None


def _total(usage: dict[str, Any], *names: str) -> int | None:
    found = [number for name in names if (number := _number(usage.get(name))) is not None]
    return int(sum(found)) if found else None
