"""One turn of the worker wrapper, in this process: its agent is a real one of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.adapters.agents.wrapper.beginning.start import started
from activities.adapters.agents.wrapper.control import Cancel, Steer
from activities.adapters.agents.wrapper.events import Events
from activities.adapters.agents.wrapper.forwarding import Forwarder
from activities.adapters.agents.wrapper.job import Job
from activities.adapters.agents.wrapper.turn import Turn

AGENT = Path(__file__).with_name("acp_agent.py")
RULES = "These are the rules."


@dataclass
class WrappedTurn:
    """`events` are the lines that it has written. `react` is called with each, and may put commands into the turn."""

    directory: Path
    fields: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    steer_at: tuple[str, str] | None = None
    cancel_at: str | None = None
    forwarder: Forwarder | None = None
    turn: Turn | None = None

    async def run(self, prompt: str, **fields: Any) -> int:
        """Its exit code. The workspace and home of the agent are the test's directory."""
        known: dict[str, Any] = {
            "agent": "claude-code", "runner": "acp", "argv": [sys.executable, str(AGENT)],
            "prompt": f"{RULES}\n\n{prompt}", "workspace": str(self.directory), "cancel_s": 20.0, "silence_s": 60.0,
            "environment": {"HOME": str(self.directory)},
        }  # fmt: skip
        job = Job(**{**known, **self.fields, **fields})
        self.turn = Turn(started(job, "", self.directory), Events(write=self._write), self.forwarder)
        return await self.turn.run()

    def _write(self, line: bytes) -> None:
        event = json.loads(line)
        self.events.append(event)
        assert self.turn is not None
        said = f"{event['type']} {event.get('kind', '')} {event.get('text', '')}"
        if self.steer_at and self.steer_at[0] in said:
            self.turn.commands.put_nowait(Steer(f"{RULES}\n\n{self.steer_at[1]}"))
            self.steer_at = None
        if self.cancel_at and self.cancel_at in said:
            self.turn.commands.put_nowait(Cancel())
            self.cancel_at = None

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def said(self, kind: str) -> list[str]:
        """The texts of the updates of a kind."""
        return [event["text"].strip() for event in self.events if event.get("kind") == kind]
