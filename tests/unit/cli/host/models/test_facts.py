"""`up`, `status` and `demo` say who does new work, with which keys, and what it may cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cli.host.models.facts import Accounts, ModelFacts
from contracts.project_settings import ProjectSettings, SettingDTO

ANTHROPIC: dict[str, Any] = {"key": True, "base_url": "https://api.anthropic.com", "limit": None}
NO_OPENAI: dict[str, Any] = {"key": False, "base_url": "https://api.openai.com/v1", "limit": None}


def facts(accounts: Accounts | None, spent_usd: float = 0.0, **chosen: Any) -> ModelFacts:
    values = ProjectSettings.model_validate(chosen).model_dump(mode="json")
    settings = {
        name: SettingDTO(name=name, value=value, description="", source="default", in_use=True)
        for name, value in values.items()
    }
    return ModelFacts(settings, accounts, spent_usd)


def told(found: ModelFacts) -> str:
    return "\n".join(f"{label}: {fact}" for label, fact in found.lines("http://127.0.0.1:8183"))


def test_a_key_shows_agent_model_proxy_and_budget() -> None:
    found = facts(
        {"anthropic": ANTHROPIC, "openai": NO_OPENAI}, 1.5, agent="claude-code", model="claude-opus-5-5",
        monthly_budget_usd=20,
    )  # fmt: skip
    assert told(found).splitlines() == [
        "Agent: claude-code, with claude-opus-5-5",
        "Models: by the model proxy at http://127.0.0.1:8183: anthropic (https://api.anthropic.com)",
        "Budgets: $10.00 for a task, $1.50 of $20.00 spent this month",
    ]
    assert found.document()["budgets_usd"]["task_budget_usd"] == 10.0


def test_without_a_key_it_is_a_script_and_no_budget_and_what_a_key_does_is_said() -> None:
    script, models = told(facts({})).splitlines()
    assert script == "Agent: a script, no model"
    assert "ANTHROPIC_API_KEY" in models


def test_a_script_that_was_chosen_beside_a_key_is_not_silent() -> None:
    assert "although there is a key" in told(facts({"anthropic": ANTHROPIC}))


def test_an_agent_whose_key_is_missing_is_trouble_with_a_way_out() -> None:
    found = facts({"anthropic": ANTHROPIC, "openai": NO_OPENAI}, agent="codex")
    assert found.trouble is not None
    assert "OPENAI_API_KEY" in found.trouble
    assert facts({"anthropic": ANTHROPIC}, agent="opencode").trouble is None
    assert "up --detach" in str(facts({}, agent="codex").trouble), "it may be stored, and no proxy runs"
    assert facts(None, agent="codex").trouble is None, "with Compose only the proxy knows its keys"
    assert ("Models", None) in facts(None, agent="codex").lines(""), "facts without a value are left out"


def test_an_agent_that_needs_containers_and_has_none_is_trouble_too() -> None:
    found = facts({"anthropic": ANTHROPIC}, agent="claude-code")
    assert found.trouble is None
    assert "DOCKER=install" in str(replace(found, in_processes=True).trouble)
    assert replace(facts({}), in_processes=True).trouble is None, "the script works anywhere"


@pytest.mark.parametrize(
    ("until", "shown"), [("2026-11-30T12:00:00Z", "limited until 2026-11-30"), (None, "limited: no credit")]
)
def test_a_limit_of_the_account_is_shown(until: str | None, shown: str) -> None:
    limit = {"kind": "window", "message": "no credit", "until": until}
    assert shown in told(facts({"anthropic": {**ANTHROPIC, "limit": limit}}, agent="claude-code"))
