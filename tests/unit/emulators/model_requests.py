"""Requests as agents send them, short."""

from collections.abc import Sequence
from typing import Any

from emulators.model.exchange import Asked, Entry, Kind, Tool

CLAUDE = (
    Tool(
        "Bash", {"properties": {"command": {"type": "string"}, "timeout": {"type": "number"}}, "required": ["command"]}
    ),
    Tool("Write", {"properties": {"file_path": {"type": "string"}, "content": {"type": "string"}}}),
)
DROID = (
    Tool(
        "Execute",
        {
            "properties": {"command": {"type": "string"}, "riskLevel": {"type": "string", "enum": ["low", "high"]}},
            "required": ["command", "riskLevel"],
        },
    ),
    Tool("Create", {"properties": {"file_path": {"type": "string"}, "content": {"type": "string"}}}),
)
OPENCODE = (
    Tool(
        "bash",
        {
            "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
            "required": ["command", "description"],
        },
    ),
    Tool("write", {"properties": {"filePath": {"type": "string"}, "content": {"type": "string"}}}),
)
CODEX = (Tool("exec_command", {"properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}}}),)
CODEX_PROGRAMS = (Tool("exec", form="custom", namespace="functions"),)
CODEX_LIST = (Tool("shell", {"properties": {"command": {"type": "array"}}}),)


def asked(*entries: tuple[Kind, str] | str, tools: Sequence[Tool] = CLAUDE, **more: Any) -> Asked:
    """A request with these entries; a bare text is a person's."""
    said = tuple(Entry(Kind.USER, one) if isinstance(one, str) else Entry(*one) for one in entries)
    return Asked(model="m", stream=True, entries=said, tools=tuple(tools), **more)


CALLED, RESULT, SAID = (Kind.CALLED, ""), (Kind.RESULT, "ok"), (Kind.SAID, "Done.")
