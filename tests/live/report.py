"""What was tried and what it has cost, as a table; a failure is said as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.states import AgentKind
from tests.live.selection import Live

_CELL = 300


@dataclass(frozen=True)
class Tried:
    """One agent. `state` is that of the task; `answers` what the URL said; `cost` a line of `orchestrator cost`."""

    agent: AgentKind
    state: str
    seconds: float
    why: str = ""
    url: str = ""
    answers: tuple[str, ...] = ()
    built: int = 0
    not_built: int = 0
    not_checked: int = 0
    cost: dict[str, Any] | None = None

    @property
    def good(self) -> bool:
        return self.state == "completed" and bool(self.url) and bool(self.answers) and self.not_built == 0


def report(live: Live, tried: Sequence[Tried], upstreams: Sequence[str]) -> str:
    """Markdown, for the screen and for a file."""
    good = sum(one.good for one in tried)
    lines = [
        f"# A live run: {good} of {len(live.agents)} agents have built it",
        "",
        f"Wish: {_cell(live.wish)}",
        f"Models by: {', '.join(upstreams)}. Budget: ${live.budget_usd:g} for each agent.",
        "",
        "| Agent | Result | Built / not built / not checked | Seconds | Requests | Tokens in / cached / out | Cost "
        "| Answers |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(one) for one in tried),
        "",
        *(f"- {one.agent.value}: {_cell(one.why)}" for one in tried if one.why),
    ]
    missing = [kind.value for kind in live.agents if kind not in {one.agent for one in tried}]
    if missing:
        lines.append(f"- not run: {', '.join(missing)}")
    return "\n".join(lines).rstrip() + "\n"


def _row(one: Tried) -> str:
    cost = one.cost or {}
    tokens = " / ".join(str(cost.get(name, "–")) for name in ("input_tokens", "cache_read_tokens", "output_tokens"))
    unknown = cost.get("unknown_requests")
    money = f"${cost['cost_usd']:.4f}" + (f", {unknown} unknown" if unknown else "") if cost else "–"
    criteria = f"{one.built} / {one.not_built} / {one.not_checked}"
    cells = (
        one.agent.value, one.state, criteria, f"{one.seconds:.0f}", str(cost.get("requests", "–")), tokens, money,
        "; ".join(one.answers) or "–",
    )  # fmt: skip
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    """One line without what would break a table."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= _CELL else f"{line[: _CELL - 1]}…"
