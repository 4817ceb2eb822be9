"""What the one-shot programs print, as events: Claude Code's `stream-json`, Codex's and Droid's JSON lines.

Everything is the word of an agent: unknown lines are passed over, and texts are bounded where they are written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .events import Events, bounded
from .updates import list_of, number_of, object_of, text_of, words_of

_OUTPUT = 2_000
_PATHS = ("file_path", "path", "pattern", "query", "url", "description")


@dataclass
class Printed:
    """What the lines of one run have said. `finished`: the program's own result was among them.

    `session` is called with each new session id.
    """

    events: Events
    session: Callable[[str], None]
    finished: bool = False
    error: str | None = None
    usage: dict[str, float] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        self.events.alive()
        try:
            event = object_of(json.loads(line))
        except (ValueError, RecursionError):
            event = {}
        if event:
            self._read(event)
        elif line.strip():
            self.events.note("log", message=bounded(line[:2_000].decode(errors="replace"), 600))

    def _read(self, event: dict[str, Any]) -> None:
        raise NotImplementedError

    def _named(self, session_id: object) -> None:
        if isinstance(session_id, str) and 0 < len(session_id) <= 200:
            self.session(session_id)

    def _tool(self, name: object, arguments: object, tool_id: object) -> None:
        known = object_of(arguments)
        command = words_of(known.get("command") or known.get("cmd"))
        path = next((str(known[key]) for key in _PATHS if known.get(key)), "")
        kind, text = ("command", command) if command else ("tool", f"{name}: {path}" if path else str(name))
        self.events.update(kind, text, id=str(tool_id)[:200], tool=str(name)[:40], path=path[:500])

    def _result(self, tool_id: object, output: str, *, failed: bool) -> None:
        status = "failed" if failed else "completed"
        self.events.update("result", bounded(output, _OUTPUT), id=str(tool_id)[:200], status=status)

    def _tokens(self, usage: object, **names: str) -> None:
        known = object_of(usage)
        found = {ours: number_of(known.get(theirs)) for ours, theirs in names.items()}
        self.usage |= {name: value for name, value in found.items() if value is not None}


class ClaudeLines(Printed):
    """`claude -p --output-format stream-json --verbose`."""

    def _read(self, event: dict[str, Any]) -> None:
        self._named(event.get("session_id") if event.get("subtype") == "init" else None)
        if event.get("type") == "result":
            self._finish(event)
            return
        for block in map(object_of, list_of(object_of(event.get("message")).get("content"))):
            if event.get("type") == "assistant":
                self._said(block)
            elif block.get("type") == "tool_result":
                content = block.get("content")
                said = content if isinstance(content, str) else "\n".join(map(text_of, list_of(content)))
                self._result(block.get("tool_use_id"), said, failed=block.get("is_error") is True)

    def _said(self, block: dict[str, Any]) -> None:
        if block.get("type") == "text":
            self.events.update("message", text_of(block))
        elif block.get("type") == "thinking":
            self.events.update("thought", str(block.get("thinking", "")))
        elif block.get("type") == "tool_use":
            self._tool(block.get("name"), block.get("input"), block.get("id"))

    def _finish(self, event: dict[str, Any]) -> None:
        self.finished = True
        # "success" stands in `subtype` even when the model refused: only these two tell.
        done = event.get("terminal_reason", "completed") == "completed"
        if event.get("is_error") is True or not done or event.get("subtype") != "success":
            errors = " ".join(map(str, list_of(event.get("errors"))))
            said = str(event.get("result") or "") or errors or str(event.get("terminal_reason") or event.get("subtype"))
            status = event.get("api_error_status")
            self.error = bounded(f"{status} {said}" if status else said, 2_000)
        self._tokens(
            event.get("usage"),
            input_tokens="input_tokens",
            output_tokens="output_tokens",
            cache_read_tokens="cache_read_input_tokens",
            cache_write_tokens="cache_creation_input_tokens",
        )
        cost = number_of(event.get("total_cost_usd"))
        self.usage |= {} if cost is None else {"cost_usd": cost}


class CodexLines(Printed):
    """`codex exec --json`."""

    def _read(self, event: dict[str, Any]) -> None:
        kind, item = event.get("type"), object_of(event.get("item"))
        self._named(event.get("thread_id"))
        if kind == "item.started" and item.get("type") == "command_execution":
            self.events.update("command", words_of(item.get("command")), id=str(item.get("id"))[:200])
        elif kind == "item.completed":
            self._item(item)
        elif kind == "turn.completed":
            self.finished = True
            names = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}
            self._tokens(event.get("usage"), **names, cache_read_tokens="cached_input_tokens")
        elif kind == "turn.failed":
            self.finished = True
            self.error = bounded(str(object_of(event.get("error")).get("message") or "The turn failed."), 2_000)

    def _item(self, item: dict[str, Any]) -> None:
        kind = item.get("type")
        if kind in {"agent_message", "reasoning"}:
            self.events.update("message" if kind == "agent_message" else "thought", text_of(item))
        elif kind == "command_execution":
            output, code = words_of(item.get("aggregated_output")), item.get("exit_code")
            self._result(item.get("id"), output, failed=code not in (0, None))
        elif kind == "file_change":
            for change in map(object_of, list_of(item.get("changes"))):
                self.events.update("diff", str(change.get("kind", ""))[:40], path=str(change.get("path", ""))[:500])
        elif kind == "error":
            self.events.note("log", message=bounded(str(item.get("message", "")), 600))


class DroidLines(Printed):
    """`droid exec -o stream-json`."""

    def _read(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        self._named(event.get("session_id") if kind == "system" else None)
        if kind == "message" and event.get("role") == "assistant":
            self.events.update("message", text_of(event))
        elif kind == "tool_call":
            self._tool(event.get("toolName"), event.get("parameters"), event.get("id"))
        elif kind == "tool_result":
            self._result(event.get("id"), str(event.get("value", "")), failed=event.get("isError") is True)
        elif kind == "error" and self.error is None:
            self.error = bounded(str(event.get("message") or "The run failed."), 2_000)
        elif kind == "completion":
            self.finished = True
            names = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}
            self._tokens(
                event.get("usage"),
                **names,
                cache_read_tokens="cache_read_input_tokens",
                cache_write_tokens="cache_creation_input_tokens",
            )


FORMATS: dict[str, type[Printed]] = {"claude": ClaudeLines, "codex": CodexLines, "droid": DroidLines}
