"""OpenCode."""

import json

from activities.adapters.agents.wrapped import MODEL_URL, AgentDefinition, Configured, Way, program_of
from contracts.models import ModelTurn
from contracts.states import AgentKind


def _configured(turn: ModelTurn) -> Configured:
    config = {
        "autoupdate": False,
        "share": "disabled",
        "permission": "allow",
        "model": f"anthropic/{turn.model}",
        "small_model": f"anthropic/{turn.side_model or turn.model}",
        "provider": {"anthropic": {"options": {"baseURL": f"{MODEL_URL}/v1", "apiKey": "{env:ANTHROPIC_API_KEY}"}}},
    }
    return Configured(
        environment={
            "OPENCODE_CONFIG_CONTENT": json.dumps(config),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        },
        secrets={"ANTHROPIC_API_KEY": turn.token},
    )


OPENCODE = AgentDefinition(
    kind=AgentKind.OPENCODE,
    api="messages",
    runner="acp",
    model="claude-opus-5-5",
    ways={"acp": Way([program_of(AgentKind.OPENCODE, "opencode"), "acp"])},
    configured=_configured,
    quirks=(
        "A model that its own table does not know has to be one of the configured vendor's.",
        "It asks for a title beside the work.",
    ),
)
