"""Turns of real agents: the worker wrapper in a place of its own, and what it wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from activities.adapters.agents.base import AgentCall
from contracts.agent_workers import TurnOutcome
from contracts.models import ModelSpending
from tests.support.patience import patience

Event = dict[str, Any]


@dataclass
class Seen:
    """What one turn wrote, how its program ended, what the proxy counted, and what the platform makes of it all."""

    events: list[Event] = field(default_factory=list)
    code: int | None = None
    errors: str = ""
    spending: ModelSpending = field(default_factory=ModelSpending)
    outcome: TurnOutcome | None = None

    @property
    def last(self) -> Event:
        return self.events[-1] if self.events else {"type": f"nothing (exit code {self.code}): {self.errors[-500:]}"}

    @property
    def ended(self) -> str:
        """`completed`, `stopped`, or `failed` with its reason."""
        return " ".join(str(part) for part in (self.last["type"], self.last.get("reason")) if part)

    @property
    def session_id(self) -> str | None:
        named = [event["session_id"] for event in self.events if event["type"] == "session"]
        return named[-1] if named else None

    @property
    def usage(self) -> Event:
        """What the agent admits: the newest figure of each kind."""
        found: Event = {}
        for event in self.events:
            if event["type"] == "usage":
                found |= {name: value for name, value in event.items() if name not in {"type", "after_s"}}
        return found

    def of(self, kind: str) -> list[Event]:
        """Updates of a kind."""
        return [event for event in self.events if event.get("kind") == kind]


class Place(Protocol):
    """Where turns of one agent worker run: its home and workspace stay, everything else goes with each turn."""

    home: Path
    workspace: Path
    sockets: Path

    async def start(self, call: AgentCall, name: str) -> asyncio.subprocess.Process: ...

    async def kill(self, name: str) -> None:
        """End the turn with everything in it, as a killed container does."""

    async def signal_agent(self, name: str, signal: str) -> None:
        """Send a signal to the agent's program inside of the turn, and not to its wrapper."""


During = Callable[["RunningTurn", Event], Awaitable[None]]


@dataclass
class RunningTurn:
    """A turn that can be told something."""

    place: Place
    name: str
    told: int = 0

    def tell(self, command: Event) -> None:
        """Put a command into the control directory, whole at once."""
        folder = self.place.home / "control" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        self.told += 1
        draft = folder / f".{self.told:03}"
        draft.write_text(json.dumps(command))
        draft.rename(folder / f"{self.told:03}.json")

    def steer(self, text: str) -> None:
        self.tell({"kind": "steer", "text": text})

    def cancel(self) -> None:
        self.tell({"kind": "cancel"})


async def run(place: Place, call: AgentCall, name: str, during: During | None = None, limit_s: float = 60.0) -> Seen:
    """Run a turn to its end; `during` is called with each event. TimeoutError after `patience(limit_s)`."""
    process = await place.start(call, name)
    assert process.stdout is not None
    assert process.stderr is not None
    seen, turn = Seen(), RunningTurn(place, name)
    try:
        async with asyncio.timeout(patience(limit_s)):
            errors = asyncio.create_task(process.stderr.read())
            async for line in process.stdout:
                seen.events.append(json.loads(line))
                if during is not None:
                    await during(turn, seen.events[-1])
            seen.code, seen.errors = await process.wait(), (await errors).decode(errors="replace")
    except TimeoutError:
        newest = "\n".join(json.dumps(event) for event in seen.events[-8:])
        raise TimeoutError(f"{name} did not end; the newest events:\n{newest}") from None
    finally:
        await place.kill(name)
    return seen
