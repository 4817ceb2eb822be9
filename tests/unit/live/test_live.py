"""`make test-live` without a vendor: what it would run, what it refuses, and what its report says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from contracts.states import AgentKind
from tests.live.report import Tried, report
from tests.live.selection import Live, Refused, chosen

KEY = "sk-a-key-that-nobody-may-read"
COST: dict[str, Any] = {
    "requests": 7, "input_tokens": 1200, "cache_read_tokens": 9000, "output_tokens": 800, "cost_usd": 0.1234,
    "unknown_requests": 0,
}  # fmt: skip
DONE = Tried(
    AgentKind.CLAUDE_CODE, "completed", 93.4, url="http://127.0.0.1:1", answers=("GET /health 200",), built=2, cost=COST
)


def names(live: Live) -> list[str]:
    return [kind.value for kind in live.agents]


@pytest.mark.parametrize(
    ("variables", "agents"),
    [
        ({"ANTHROPIC_API_KEY": KEY}, ["claude-code", "factory-droid", "opencode"]),
        ({"OPENAI_API_KEY": KEY}, ["codex"]),
        ({"ORCHESTRATOR_OPENAI_API_KEY_FILE": "/keys/openai"}, ["codex"]),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_AGENTS": "opencode claude-code"}, ["opencode", "claude-code"]),
    ],
)
def test_those_are_tried_for_whose_vendor_there_is_a_key(variables: dict[str, str], agents: list[str]) -> None:
    live = chosen({**variables, "PATH": "/usr/bin"})
    assert (names(live), live.budget_usd, live.at_most_usd) == (agents, 1.0, float(len(agents)))
    assert set(live.variables) == set(variables) - {"LIVE_AGENTS"}, "only what is about models goes to the platform"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "export ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": ""}, "nothing was spent"),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_AGENTS": "codex"}, "codex needs OPENAI_API_KEY"),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_AGENTS": "scripted"}, "no agent that follows a model"),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_BUDGET_USD": "1e9"}, "LIVE_BUDGET_USD"),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_BUDGET_USD": "nan"}, "LIVE_BUDGET_USD"),
        ({"ANTHROPIC_API_KEY": KEY, "LIVE_BUDGET_USD": "much"}, "LIVE_BUDGET_USD"),
    ],
)
def test_nothing_is_run_for_money_by_a_mistake(variables: dict[str, str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen(variables)
    assert said in str(refused.value)
    assert KEY not in str(refused.value)


def test_without_a_key_the_program_says_what_to_do_and_fails() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.live"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "make test-live" in done.stderr
    assert done.stdout == ""


def test_the_report_counts_what_was_built_and_says_what_it_cost() -> None:
    codex = Tried(AgentKind.CODEX, "cancelled", 12.0, why="it asked | and nobody answered:\nraise the budget?")
    live = Live((AgentKind.CLAUDE_CODE, AgentKind.CODEX, AgentKind.OPENCODE), "A guest book", 1.0, {})
    text = report(live, [DONE, codex], ["https://api.anthropic.com"])
    assert "1 of 3 agents have built it" in text
    assert "| claude-code | completed | 2 / 0 / 0 | 93 | 7 | 1200 / 9000 / 800 | $0.1234 | GET /health 200 |" in text
    assert "- codex: it asked \\| and nobody answered: raise the budget?" in text
    assert "- not run: opencode" in text


@pytest.mark.parametrize("lack", [{"state": "failed"}, {"answers": ()}, {"not_built": 1}, {"url": ""}])
def test_only_what_answers_and_lacks_nothing_counts(lack: dict[str, Any]) -> None:
    assert DONE.good
    assert not Tried(**{**DONE.__dict__, **lack}).good


def test_a_cost_that_nobody_knows_is_not_zero() -> None:
    unknown = Tried(**{**DONE.__dict__, "cost": {**COST, "unknown_requests": 3}})
    assert "$0.1234, 3 unknown" in report(Live((unknown.agent,), "x", 1.0, {}), [unknown], [])


def test_no_suite_of_pytest_has_a_real_key() -> None:
    """With one in the shell, each platform that a test starts would use it."""
    assert not {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"}.intersection(os.environ)
