"""The lines of the worker wrapper. It runs where the agent does, so each is as untrusted as the agent itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from activities.adapters.agents.base import AgentReport
from activities.adapters.runs.follower import Shown
from contracts.errors import bounded
from contracts.progress import FineKind

_MAX_EVENT = 600
_MAX_TEXT = 20_000
_MAX_SESSION_ID = 200
_SESSION_UNKNOWN = "session_unknown"
_REASON = 40
_SAID: dict[str, FineKind] = {"message": "message", "thought": "thought", "plan": "plan"}


@dataclass
class WrapperLines:
    """Implements `StreamReader`. A wrapper that ends without a last line has not finished."""

    report: AgentReport = field(default_factory=AgentReport)

    def feed(self, line: bytes) -> list[str]:
        event = _object(line)
        if event is None:
            text = line.decode(errors="replace").strip()
            return [bounded(text, _MAX_EVENT)] if text else []
        kind = str(event.get("type", ""))
        if kind == "update":
            return [line for line in [_shown(event)] if line.strip()]
        if kind in {"completed", "failed", "stopped"}:
            self._end(kind, event)
        elif kind == "session":
            self._session(event.get("session_id"))
        elif kind == "usage":
            self._usage(event)
        elif kind in {"steered", "log"}:
            said = bounded(_text(event, "text") or _text(event, "message"), _MAX_EVENT)
            return [Shown(said, "steer" if kind == "steered" else None)]
        return []

    def _session(self, session_id: object) -> None:
        if isinstance(session_id, str) and 0 < len(session_id) <= _MAX_SESSION_ID:
            self.report.session_id = session_id

    def _end(self, kind: str, event: Mapping[str, Any]) -> None:
        report = self.report
        report.finished = True
        report.is_error = kind != "completed"
        report.stopped = kind == "stopped"
        report.failure = _text(event, "reason")[:_REASON] if kind == "failed" else None
        report.session_unknown = report.failure == _SESSION_UNKNOWN
        report.did_anything = event.get("did_anything") is not False
        report.text = bounded(_text(event, "message") or _text(event, "text"), _MAX_TEXT)

    def _usage(self, event: Mapping[str, Any]) -> None:
        """What the agent itself admits, of all of its prompts so far."""
        report, cost = self.report, _number(event.get("cost_usd"))
        report.cost_usd = cost if cost is not None else report.cost_usd
        taken = [_number(event.get(name)) for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
        if any(one is not None for one in taken):
            report.input_tokens = int(sum(one or 0 for one in taken))
        given = _number(event.get("output_tokens"))
        report.output_tokens = int(given) if given is not None else report.output_tokens


def _shown(event: Mapping[str, Any]) -> Shown:
    kind, text, path = str(event.get("kind", "")), _text(event, "text"), _text(event, "path")
    if kind == "diff":
        return Shown(bounded(f"Change: {path}", _MAX_EVENT), "diff")
    if kind == "command":
        return Shown(bounded(f"Command: {text}", _MAX_EVENT), "command")
    if kind in {"tool", "permission"}:
        return Shown(bounded(text if path in text else f"{text} ({path})", _MAX_EVENT), "tool")
    return Shown(bounded(text, _MAX_EVENT), _SAID[kind]) if kind in _SAID else Shown("", None)


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return float(value) if good and isinstance(value, int | float) else None
