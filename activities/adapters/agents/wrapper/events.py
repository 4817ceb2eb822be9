"""The lines that the wrapper writes: one JSON object for each event, all of them bounded.

What an agent says in small pieces is put together, since a line for each word helps nobody.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_TEXT = 8_000
"""Characters of one text in an event."""
_MOST = 40 * 1024 * 1024
"""Bytes of updates; after that only what decides about the turn is written."""
_WHOLE = 2_000
_TOGETHER_S = 1.0
_CUT = " […]"
_HIDDEN = "[hidden]"


def bounded(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def write_out(line: bytes) -> None:
    """All of the line to standard output."""
    while line:
        line = line[os.write(1, line) :]


@dataclass
class Events:
    """`alive_at` is when the agent was last heard of, by the clock of `time.monotonic`. `secret` stands in no line."""

    write: Callable[[bytes], None] = write_out
    secret: str = ""
    began_at: float = field(default_factory=time.monotonic)
    alive_at: float = field(default_factory=time.monotonic)
    last_message: str = ""
    did_anything: bool = False
    _kind: str = ""
    _pieces: str = ""
    _timer: asyncio.TimerHandle | None = None
    _written: int = 0
    _dropped: int = 0

    def alive(self) -> None:
        self.alive_at = time.monotonic()

    def update(self, kind: str, text: str = "", **facts: object) -> None:
        """Something that the agent did."""
        self.alive()
        self.flush()
        self.did_anything = True
        self._update(kind, text, facts)

    def piece(self, kind: str, text: str) -> None:
        """A part of what the agent says or thinks."""
        self.alive()
        if not text:
            return
        self.did_anything = True
        if kind != self._kind:
            self.flush()
        self._kind, self._pieces = kind, self._pieces + text
        if len(self._pieces) >= _WHOLE:
            self._flush(self._begun())
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_S, lambda: self._flush(self._begun()))

    def _begun(self) -> int:
        """How many characters at the end may be the begin of the secret: two lines would each have a part of it."""
        longest = min(len(self.secret) - 1, len(self._pieces))
        return next((size for size in range(longest, 0, -1) if self.secret.startswith(self._pieces[-size:])), 0)

    def flush(self) -> None:
        """Write down all that has been said so far."""
        self._flush(0)

    def _flush(self, kept: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kind, text = self._kind, self._pieces[: len(self._pieces) - kept]
        self._kind, self._pieces = (kind, self._pieces[len(text) :]) if kept else ("", "")
        if text.strip():
            self._update(kind, text, {})

    def note(self, event: str, **facts: object) -> None:
        """An event that decides about the turn; always written."""
        self.flush()
        self._line({"type": event, **facts})

    def end(self, event: str, **facts: object) -> None:
        """The last line: completed, failed or stopped."""
        self.flush()
        dropped = {"updates_dropped": self._dropped} if self._dropped else {}
        self.note(event, text=bounded(self.last_message), did_anything=self.did_anything, **facts, **dropped)

    def _update(self, kind: str, text: str, facts: dict[str, object]) -> None:
        text = self.hide(text)
        if kind == "message":
            self.last_message = bounded(text)
        if self._written > _MOST:
            self._dropped += 1
            return
        shown = {name: bounded(self.hide(value)) if isinstance(value, str) else value for name, value in facts.items()}
        self._line({"type": "update", "kind": kind, "text": bounded(text), **shown})

    def hide(self, text: str) -> str:
        """Before a text is cut: half of the secret would not be found afterwards."""
        return text.replace(self.secret, _HIDDEN) if self.secret else text

    def _line(self, event: dict[str, object]) -> None:
        event["after_s"] = round(time.monotonic() - self.began_at, 3)
        # Halves of characters, which an agent may send, are in no UTF-8.
        text = json.dumps(event)
        line = self.hide(text).encode() + b"\n"
        self._written += len(line)
        self.write(line)
