"""What every row must bear, and how a turn has to end: the same for all, whatever the agent makes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from emulators.model.records import Record
from tests.integration.agents.turns import During, Event, RunningTurn, Seen

UNKNOWN_SESSION = "01a22d96-ba41-7691-b7d7-23efb346e200"
LONG = "[model:run tail -f /dev/null]"
"""A command that says nothing and does not end. Agents refuse a bare `sleep`."""

Wait = Callable[[Callable[[], bool]], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """`prompt` has `{refusal}` for the status that stops an agent at once. `ends` are the ways in which the turn may
    end as its wrapper sees it; `last_status` is what the model answered last, and `requests` the most of the work.

    `steer`: what is said once a tool runs; `cancel`: the turn is cancelled as soon as the model has its request.
    `kill`: the agent dies once a tool runs.
    """

    name: str
    prompt: str
    ends: tuple[str, ...]
    last_status: int | None = 200
    requests: int = 3
    files: tuple[str, ...] = ()
    session: str | None = None
    steer: str = ""
    cancel: bool = False
    kill: bool = False
    job: Event = field(default_factory=dict)

    def during(self, turn_wait: Wait, requests: list[Record]) -> During | None:
        """What is done while the turn runs."""
        if not (self.steer or self.cancel or self.kill):
            return None

        async def act(turn: RunningTurn, event: Event) -> None:
            if event["type"] != "prompt" or turn.told:
                return
            wanted = "stall" if self.cancel else "run"
            await turn_wait(lambda: any(one.step == wanted and one.status == 200 for one in requests))
            if self.steer:
                turn.steer(self.steer)
            elif self.cancel:
                turn.cancel()
            else:
                turn.told += 1
                await turn.place.kill_agent(turn.name)

        return act


SCENARIOS = (
    Scenario("write", "[model:write hello.txt Hello]", ("completed",), files=("hello.txt",)),
    Scenario("unknown session", "[model:say Hi]", ("failed session_unknown",), None, 0, session=UNKNOWN_SESSION),
    Scenario("steer", LONG, ("completed",), steer="Rather [model:write steered.txt S]", files=("steered.txt",)),
    Scenario("cancel in a stall", "[model:stall]", ("stopped cancelled",), cancel=True, requests=1),
    Scenario("usage window", "[model:429 times=1 reset=7200][model:{refusal}]", ("failed agent_error",), 429, 2),
    Scenario("budget", "[model:run true][model:{refusal}]", ("failed agent_error", "completed"), 402, 3),
    Scenario("wrong key", "[model:401]", ("failed agent_error",), 401, 2),
    Scenario("overloaded", "[model:529]", ("failed agent_error", "completed"), 529, 3),
    Scenario("context full", "[model:overflow]", ("failed context_overflow", "completed"), 400, 4),
    Scenario("crash", LONG, ("failed crash",), kill=True, requests=1),
    Scenario("hang", LONG, ("failed hang",), requests=1, job={"silence_s": 8.0}),
    Scenario("huge answer", "[model:huge 3000000]", ("completed",), requests=1),
    Scenario("unknown tool", "[model:unknown-tool]", ("completed",), requests=2),
)


def verdict(seen: Seen, requests: list[Record]) -> str:
    """How the turn ended by both accounts: the wrapper's, and the status of the last answer to its work."""
    work = [one for one in requests if not one.side]
    return f"{seen.ended}, {work[-1].status if work else 'no request'}"
