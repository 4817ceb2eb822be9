"""How one prompt ended, as the agent says it; whether that is true, others find out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_FULL = re.compile(
    r"prompt is too long|context[ _](length|window|limit)|too many tokens|input is too long", re.IGNORECASE
)
_UNKNOWN = re.compile(r"No conversation found with session ID|session \S* ?not found|no rollout found", re.IGNORECASE)

AGENT_ERROR, CONTEXT_FULL, SESSION_UNKNOWN = "agent_error", "context_overflow", "session_unknown"
CRASHED, SILENT_EXIT, HUNG, NOT_STARTED = "crash", "silent_exit", "hang", "not_started"


@dataclass(frozen=True)
class Ended:
    """`reason` is None for a prompt that the agent worked off; else why not, and `message` what was said of it.

    `interrupted`: it ended because it was asked to.
    """

    reason: str | None = None
    message: str = ""
    stop_reason: str = ""
    interrupted: bool = False
    usage: dict[str, float] = field(default_factory=dict)


class TurnFailed(Exception):
    """The turn cannot go on. `reason` is one of the words above."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def failure(message: str, otherwise: str = AGENT_ERROR) -> str:
    """The reason that an error message gives."""
    if _UNKNOWN.search(message):
        return SESSION_UNKNOWN
    return CONTEXT_FULL if _FULL.search(message) else otherwise


def cannot_start(argv: Sequence[str], error: OSError) -> str:
    return f"{argv[0]} cannot be started: {error.strerror}"


def exit_reason(code: int) -> str:
    """Of a program that ended without a result: by a signal, or as if nothing were wrong."""
    return CRASHED if code != 0 else SILENT_EXIT
