"""What every agent must bear, and how its turn has to end: the same for all, whatever the agent makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulators.model.records import Record
from tests.integration.agents.turns import During, Event, RunningTurn
from tests.support.eventually import eventually

UNKNOWN_SESSION = "01a22d96-ba41-7691-b7d7-23efb346e200"
REFUSAL = 0
"""Stands for the status with which the proxy stops an agent at once: 402 on Messages, 400 on Responses."""
_BEGUN = "begun.txt"
_LONG = f"[model:run touch {_BEGUN}; tail -f /dev/null]"
"""A command that leaves a mark, says nothing and does not end. Agents refuse a bare `sleep`."""
_ERROR = "failed agent_error"


@dataclass(frozen=True)
class Scenario:
    """`ends`: how the turn may end as its wrapper says; `last`: what the model may have answered last to the work, and
    `requests` how many requests of the work are the most. `files` are in the workspace afterwards.

    `{refusal}` in the prompt is the status that stops this agent. `steer` is said, and the agent killed (`kill`), once
    a tool runs; the turn is cancelled (`cancel`) once the model has its request.
    """

    name: str
    prompt: str
    ends: tuple[str, ...]
    last: tuple[int | None, ...] = (200,)
    requests: int = 3
    files: tuple[str, ...] = ()
    session: str | None = None
    silence_s: float = 600.0
    steer: str = ""
    cancel: bool = False
    kill: bool = False

    def during(self, requests: Callable[[], list[Record]]) -> During | None:
        """What is done while the turn runs, once its prompt has been sent."""
        if not (self.steer or self.cancel or self.kill):
            return None

        async def act(turn: RunningTurn, event: Event) -> None:
            if event["type"] != "prompt" or turn.told:
                return
            await eventually(lambda: self._is_time(turn, requests()), 30)
            await self._act(turn)

        return act

    def _is_time(self, turn: RunningTurn, requests: list[Record]) -> bool:
        if self.cancel:
            return any(one.step == "stall" and one.status == 200 for one in requests)
        return (turn.place.workspace / _BEGUN).exists()

    async def _act(self, turn: RunningTurn) -> None:
        if self.steer:
            turn.tell({"kind": "steer", "text": self.steer})
        elif self.cancel:
            turn.tell({"kind": "cancel"})
        else:
            turn.told += 1
            await turn.place.kill_agent(turn.name)


SCENARIOS = (
    Scenario("write", "[model:write hello.txt Hello]", ("completed",), files=("hello.txt",)),
    Scenario("unknown session", "[model:say Hi]", ("failed session_unknown",), (None,), 0, session=UNKNOWN_SESSION),
    Scenario("steer", _LONG, ("completed",), steer="Rather [model:write s.txt S]", files=("s.txt",)),
    Scenario("cancel in a stall", "[model:stall]", ("stopped cancelled",), requests=1, cancel=True),
    Scenario(
        "usage window", "[model:429 times=1 reset=7200][model:{refusal}]", (_ERROR,), (429, REFUSAL), 2, silence_s=30.0
    ),
    Scenario("budget", "[model:run true][model:{refusal}]", (_ERROR,), (REFUSAL,)),
    Scenario("key refused", "[model:401 times=1][model:{refusal}]", (_ERROR,), (401, REFUSAL), 2),
    Scenario("overloaded", "[model:529 times=1][model:{refusal}]", (_ERROR,), (529, REFUSAL), 2),
    # Who can, shortens its context and goes on.
    Scenario("context full", "[model:overflow]", ("failed context_overflow", "completed"), (400, 200), 4),
    Scenario("crash", _LONG, ("failed crash",), requests=1, kill=True),
    Scenario("hang", _LONG, ("failed hang",), requests=2, silence_s=8.0),
    Scenario("huge answer", "[model:huge 2000000]", ("completed",), requests=1),
    Scenario("unknown tool", "[model:unknown-tool]", ("completed",), requests=2),
)

# What an agent does otherwise, and others have to make good. A row that keeps to the rule is taken from here.
_SILENT = "completed"
DEVIATIONS: dict[tuple[str, str, str], tuple[str, ...]] = {
    # Under the protocol Codex ends every refusal well: the proxy's last status decides.
    ("codex", "acp", "budget"): (_SILENT,),
    ("codex", "acp", "key refused"): (_ERROR, _SILENT),
    ("codex", "acp", "overloaded"): (_SILENT,),
    # It waits out whatever `retry-after` says, and tells nobody.
    ("opencode", "acp", "usage window"): ("failed hang",),
    # Its one-shot program continues a session only with its vendor's service.
    ("factory-droid", "exec", "unknown session"): ("failed crash",),
    ("factory-droid", "exec", "steer"): ("failed crash",),
}

LOSES_A_STEER = {("factory-droid", "acp")}
"""Told right after it was asked to stop, it sometimes goes on with the work before and loses the message."""
