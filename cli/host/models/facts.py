"""Who does new work and what it may cost, for `up`, `status` and `demo`: agent, model, keys at the proxy, budgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.host.health import model_health
from cli.host.parts import Parts
from cli.terminal.tables import moment
from contracts.costs import CostReport
from contracts.errors import OrchestratorError
from contracts.project_settings import SettingDTO
from contracts.states import AgentKind
from runtime import process_mode
from runtime.api_client import ApiClient
from runtime.model_vendors import ACCOUNT_OF, KEY_NAMES

Accounts = dict[str, dict[str, Any]]
_BUDGETS = {"turn_budget_usd": "a turn", "task_budget_usd": "a task", "project_budget_usd": "a project"}


@dataclass(frozen=True)
class ModelFacts:
    """`settings`: those of the installation, by name. `accounts`: as the proxy tells of them; empty where none runs,
    None where it cannot be asked. `spent_usd`: by everybody in this month. `in_processes`: whether agents work as
    processes of this machine."""

    settings: dict[str, SettingDTO]
    accounts: Accounts | None
    spent_usd: float
    in_processes: bool = False

    @property
    def agent(self) -> AgentKind:
        return AgentKind(str(self.settings["agent"].value))

    @property
    def keys(self) -> list[str]:
        """The accounts for which the proxy has a key."""
        return [name for name, told in (self.accounts or {}).items() if told.get("key")]

    @property
    def trouble(self) -> str | None:
        """Why the agent of new work cannot use its model; None if nothing is known to be in its way."""
        account = ACCOUNT_OF.get(self.agent)
        if account is not None and self.in_processes:
            return process_mode.model_refused(self.agent).message
        if account is None or self.accounts is None or account in self.keys:
            return None
        name = KEY_NAMES[account]
        if not self.accounts:
            return (
                f"{self.agent.value} needs the model proxy, which does not run: `orchestrator up --detach` starts it, "
                f"with {name} in its environment unless that is stored"
            )
        return (
            f"{self.agent.value} needs a key for {account}, and there is none: set {name} for `orchestrator up`, or "
            f"`orchestrator secret set --platform {name}` and `orchestrator up --detach`"
        )

    def document(self) -> dict[str, Any]:
        return {
            "agent": self.agent.value,
            "model": self.settings["model"].value,
            "accounts": self.accounts,
            "budgets_usd": {name: self.settings[name].value for name in (*_BUDGETS, "monthly_budget_usd")},
            "spent_this_month_usd": self.spent_usd,
        }

    def lines(self, url: str) -> list[tuple[str, object]]:
        """Labelled lines for people. `url`: of the proxy."""
        facts: list[tuple[str, object]] = [("Agent", self.who), ("Models", self._models(url))]
        if self.agent is not AgentKind.SCRIPTED or self.keys:
            facts.append(("Budgets", self._budgets()))
        return [*facts, *([("", self.trouble)] if self.trouble else [])]

    @property
    def who(self) -> str:
        """The agent of new work, in words."""
        if self.agent is not AgentKind.SCRIPTED:
            model = self.settings["model"].value
            return f"{self.agent.value}, {f'with {model}' if model else 'with the model of its own choice'}"
        if not self.keys:
            return "a script, no model"
        return "a script, no model, although there is a key: the setting `agent` or ORCHESTRATOR_AGENT says so"

    def _models(self, url: str) -> str | None:
        if self.accounts is None:
            return None
        if not self.keys:
            return "no key. With ANTHROPIC_API_KEY or OPENAI_API_KEY for `orchestrator up` real agents work"
        return f"by the model proxy at {url}: " + "; ".join(self._account(name) for name in self.keys)

    def _account(self, name: str) -> str:
        told = (self.accounts or {})[name]
        limit = told.get("limit")
        limited = f", limited{until(limit)}: {limit.get('message')}" if isinstance(limit, dict) else ""
        return f"{name} ({told.get('base_url')}{limited})"

    def _budgets(self) -> str:
        values = {what: self.settings[name].value for name, what in _BUDGETS.items()}
        limits = [f"${value:.2f} for {what}" for what, value in values.items() if isinstance(value, int | float)]
        month = self.settings["monthly_budget_usd"].value
        of_month = f"of ${month:.2f} " if isinstance(month, int | float) else ""
        return ", ".join([*(limits or ["none"]), f"${self.spent_usd:.2f} {of_month}spent this month"])


def until(limit: dict[str, Any]) -> str:
    """` until …` in local time; nothing for a limit without an end."""
    end = limit.get("until")
    return f" until {moment(datetime.fromisoformat(end))}" if isinstance(end, str) else ""


async def model_facts(parts: Parts, api: ApiClient) -> ModelFacts:
    """Asks the API, and the proxy where it runs on this machine. Raises what the API answers."""
    settings = {one.name: one for one in await api.settings()}
    report: CostReport = await api.costs()
    try:
        accounts = await _accounts(parts)
    except OrchestratorError:
        # That it does not answer is said where parts are listed.
        accounts = None
    return ModelFacts(settings, accounts, report.total.cost_usd, process_mode.agents_are_processes(parts.settings))


async def _accounts(parts: Parts) -> Accounts | None:
    if parts.is_run_elsewhere:
        return None
    return await model_health(parts) if parts.runs_model_proxy else {}
