"""What every agent must bear, and how its turn has to end: the same for all, whatever the agent makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from contracts.models import ModelLimitKind
from emulators.model.records import Record
from tests.integration.agents.turns import During, Event, RunningTurn
from tests.support.eventually import eventually

UNKNOWN_SESSION = "01a22d96-ba41-7691-b7d7-23efb346e200"
_BEGUN = "begun.txt"
_LONG = f"[model:run touch {_BEGUN}; tail -f /dev/null]"
"""A command that leaves a mark, says nothing and does not end. Agents refuse a bare `sleep`."""
_SCRIPT_LONG = "[agent:hang]"
_ERROR = "failed agent_error"


@dataclass(frozen=True)
class Scenario:
    """How a turn has to end: `status` and `limit` for the platform, `ends` as its wrapper may say it.

    `last`: what the model may have answered last to the work; `requests`: how many of them reach it at most. `files`
    are in the workspace afterwards. `script` is what the scripted agent is told, which asks no model; without it, it
    does not take part. `budget`: what the turn may spend, in US dollars.

    While it works, once a tool runs, the turn is told something (`steer`), or the agent's program gets a `signal`;
    the turn is cancelled (`cancel`) once the model has its request.
    """

    name: str
    prompt: str
    ends: tuple[str, ...]
    status: Literal["done", "failed"] = "failed"
    limit: ModelLimitKind | None = None
    last: tuple[int | None, ...] = (200,)
    requests: int = 3
    files: tuple[str, ...] = ()
    script: str = ""
    script_files: tuple[str, ...] = ()
    session: str | None = None
    silence_s: float = 600.0
    budget: float | None = None
    steer: str = ""
    script_steer: str = ""
    signal: str = ""
    script_signal: str = ""
    cancel: bool = False

    def during(self, requests: Callable[[], list[Record]], *, scripted: bool) -> During | None:
        """What is done while the turn runs, once its prompt has been sent."""
        if not (self.steer or self.cancel or self._signal(scripted)):
            return None

        async def act(turn: RunningTurn, event: Event) -> None:
            if event["type"] != ("update" if scripted else "prompt") or turn.told:
                return
            await eventually(lambda: scripted or self._is_time(turn, requests()), 30)
            await self._act(turn, scripted)

        return act

    def _signal(self, scripted: bool) -> str:
        return self.script_signal if scripted and self.script_signal else self.signal

    def _is_time(self, turn: RunningTurn, requests: list[Record]) -> bool:
        if self.cancel:
            return any(one.step == "stall" and one.status == 200 for one in requests)
        return (turn.place.workspace / _BEGUN).exists()

    async def _act(self, turn: RunningTurn, scripted: bool) -> None:
        if self.steer:
            turn.tell({"kind": "steer", "text": self.script_steer if scripted else self.steer})
        elif self.cancel:
            turn.tell({"kind": "cancel"})
        else:
            turn.told += 1
            await turn.place.signal_agent(turn.name, self._signal(scripted))


_NOTES = "Notes with a title and a text."
_BUILT = ("services/backend/routes/notes.py",)
SCENARIOS = (
    Scenario(
        "write", "[model:write hello.txt Hello]", ("completed",), "done", files=("hello.txt",),
        script=_NOTES, script_files=_BUILT,
    ),
    Scenario(
        "unknown session", "[model:say Hi]", ("failed session_unknown",), last=(None,), requests=0,
        session=UNKNOWN_SESSION, script=_NOTES,
    ),
    Scenario(
        "steer", _LONG, ("completed",), "done", steer="Rather [model:write s.txt S]", files=("s.txt",),
        script=_SCRIPT_LONG, script_steer=_NOTES, script_files=_BUILT,
    ),
    Scenario(
        "cancel in a stall", "[model:stall]", ("stopped cancelled",), requests=1, cancel=True, script=_SCRIPT_LONG
    ),
    Scenario("usage limit", "[model:429 reset=7200]", (_ERROR,), limit="window", last=(429,), requests=2),
    Scenario("budget used up", "[model:loop]", (_ERROR,), limit="budget", budget=0.05, requests=12),
    Scenario("400 of the vendor", "[model:400]", (_ERROR,), limit="request", last=(400,), requests=10),
    Scenario("402 of the vendor", "[model:402]", (_ERROR,), limit="auth", last=(402,), requests=2),
    Scenario("401 of the vendor", "[model:401]", (_ERROR,), limit="auth", last=(401,), requests=2),
    Scenario("529 of the vendor", "[model:529]", (_ERROR,), limit="outage", last=(529,), requests=2),
    Scenario("context overflow", "[model:overflow]", ("failed context_overflow",), limit="request", last=(400,)),
    Scenario("crash", _LONG, ("failed crash",), requests=1, signal="KILL", script=_SCRIPT_LONG),
    # What an agent makes of a polite end is its own; a result is not among it.
    Scenario(
        "silent exit", _LONG, ("failed silent_exit", "failed crash", _ERROR), requests=1, signal="TERM",
        script=_SCRIPT_LONG,
    ),
    Scenario("nothing said", "[model:nothing]", ("completed",), requests=3),
    Scenario(
        "hang", _LONG, ("failed hang",), requests=2, silence_s=8.0, script=_SCRIPT_LONG, script_signal="STOP"
    ),
    Scenario("huge answer", "[model:huge 1000000]", ("completed",), "done", requests=1),
    Scenario("unknown tool", "[model:unknown-tool]", ("completed",), "done", requests=2),
)  # fmt: skip

# What a wrapper may see otherwise, and others have to make good: the platform's verdict is the same.
_REFUSED = ("budget used up", "400 of the vendor", "402 of the vendor", "401 of the vendor", "529 of the vendor")
DEVIATIONS: dict[tuple[str, str, str], tuple[str, ...]] = {
    # Under the protocol Codex ends most refusals well: what the proxy has seen decides.
    **{("codex", "acp", name): ("completed",) for name in (*_REFUSED, "context overflow")},
}

FORGETS = {("factory-droid", "exec")}
"""A one-shot program that continues a session only with its vendor's service: what needs one ends as a crash."""
OTHERWISE: dict[tuple[str, str, str], tuple[str, Literal["done", "failed"]]] = {
    # How the turn ends for the wrapper and for the platform, where an agent's program can do no better, or does better.
    **{(*one, name): ("failed crash", "failed") for one in FORGETS for name in ("unknown session", "steer")},
    # Asked to end, it ends its command and goes on with the work.
    ("factory-droid", "exec", "silent exit"): ("completed", "done"),
    # It shortens its context and goes on.
    ("opencode", "acp", "context overflow"): ("completed", "done"),
}

LOSES_A_STEER = {("factory-droid", "acp")}
"""Told right after it was asked to stop, it sometimes goes on with the work before and loses the message."""
