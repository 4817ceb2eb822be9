"""Which agents are tried: those for whose vendor there is a key. Without any, what to do is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.states import AgentKind
from runtime.model_vendors import ACCOUNT_OF, KEY_NAMES

DEFAULT_WISH = (
    "A guest book with entries: name, message. An entry without a message is refused, the newest comes first."
)
DEFAULT_BUDGET_USD = 1.0
_MOST_USD = 100.0
_PASSED = (
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ORCHESTRATOR_ANTHROPIC_API_KEY", "ORCHESTRATOR_OPENAI_API_KEY",
    "ORCHESTRATOR_ANTHROPIC_API_KEY_FILE", "ORCHESTRATOR_OPENAI_API_KEY_FILE", "ORCHESTRATOR_ANTHROPIC_BASE_URL",
    "ORCHESTRATOR_OPENAI_BASE_URL",
)  # fmt: skip
NO_KEY = """No key for a model is set, so nothing was run and nothing was spent. To run it:

    export ANTHROPIC_API_KEY=…     # Claude Code, Factory Droid, OpenCode
    export OPENAI_API_KEY=…        # Codex
    make test-live

It spends real money at the vendor: at most LIVE_BUDGET_USD (1) for each agent, and what one request goes beyond it.
LIVE_AGENTS="claude-code codex" runs only these, LIVE_WISH="…" another wish. It needs Docker."""


class Refused(Exception):
    """Nothing is run; the text says why and what to do."""


@dataclass(frozen=True)
class Live:
    """What is tried. `variables` are what the platform is given about models; `budget_usd` is for each agent."""

    agents: tuple[AgentKind, ...]
    wish: str
    budget_usd: float
    variables: Mapping[str, str]

    @property
    def at_most_usd(self) -> float:
        return self.budget_usd * len(self.agents)


def chosen(environment: Mapping[str, str]) -> Live:
    """By the environment. Raises Refused without a key, and for what cannot be meant."""
    variables = {name: environment[name] for name in _PASSED if environment.get(name)}
    accounts = {account for account, name in KEY_NAMES.items() if any(_is_of(name, given) for given in variables)}
    if not accounts:
        raise Refused(NO_KEY)
    possible = tuple(kind for kind in ACCOUNT_OF if ACCOUNT_OF[kind] in accounts)
    asked = environment.get("LIVE_AGENTS", "").split()
    agents = tuple(_asked(name, possible) for name in dict.fromkeys(asked)) or possible
    wish = environment.get("LIVE_WISH", "").strip() or DEFAULT_WISH
    return Live(agents, wish, _budget(environment.get("LIVE_BUDGET_USD", "")), variables)


def _is_of(key: str, variable: str) -> bool:
    return variable.removeprefix("ORCHESTRATOR_").removesuffix("_FILE") == key


def _asked(name: str, possible: tuple[AgentKind, ...]) -> AgentKind:
    found = next((kind for kind in ACCOUNT_OF if kind.value == name), None)
    if found is None:
        known = ", ".join(kind.value for kind in ACCOUNT_OF)
        raise Refused(f"LIVE_AGENTS names {name!r}, which is no agent that follows a model. There are: {known}.")
    if found not in possible:
        raise Refused(f"{name} needs {KEY_NAMES[ACCOUNT_OF[found]]}, which is not set.")
    return found


def _budget(given: str) -> float:
    try:
        amount = float(given) if given else DEFAULT_BUDGET_USD
    except ValueError:
        amount = -1.0
    if not 0 < amount <= _MOST_USD:
        raise Refused(f"LIVE_BUDGET_USD has to be an amount of US dollars from 0.01 to {_MOST_USD:g}.")
    return amount
