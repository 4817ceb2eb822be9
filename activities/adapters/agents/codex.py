"""Codex."""

import json

from activities.adapters.agents.wrapped import MODEL_URL, AgentDefinition, Configured, Way, program_of
from contracts.models import ModelTurn
from contracts.states import AgentKind

_CODEX = program_of(AgentKind.CODEX, "codex")
_OPEN = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
_CONFIG = f"""\
model_provider = "orchestrator"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
# OpenAI would search for it, outside of what the container may reach: the proxy refuses that.
web_search = "disabled"

[analytics]
enabled = false

[model_providers.orchestrator]
name = "orchestrator"
base_url = "{MODEL_URL}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 1
"""


def _configured(turn: ModelTurn) -> Configured:
    # A quoted string of JSON is one of TOML, too.
    model = f"model = {json.dumps(turn.model)}\n" if turn.model is not None else ""
    return Configured(
        environment={"CODEX_PATH": _CODEX, "INITIAL_AGENT_MODE": "agent-full-access", "NO_BROWSER": "1"},
        secrets={"OPENAI_API_KEY": turn.token},
        files={".codex/config.toml": model + _CONFIG},
    )


CODEX = AgentDefinition(
    kind=AgentKind.CODEX,
    api="responses",
    runner="exec",
    # The newest of its own that has a price in our table: a budget of somebody holds to the cent.
    model="gpt-6.1-sol",
    ways={
        "exec": Way([_CODEX, "exec", *_OPEN, "-"], [_CODEX, "exec", "resume", *_OPEN, "{session}", "-"], lines="codex"),
        "acp": Way([program_of(AgentKind.CODEX, "codex-acp")]),
    },
    configured=_configured,
    quirks=(
        "Under ACP it says end_turn after every refusal of the model: only the proxy knows.",
        "A refusal that is no 400 makes it try again, up to five times, unless its retries are switched off.",
        "Under ACP a side request of 44 kB goes to another model.",
    ),
)
