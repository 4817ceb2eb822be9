"""Factory Droid."""

import json

from activities.adapters.agents.wrapped import MODEL_URL, AgentDefinition, Configured, Way, program_of
from activities.adapters.agents.wrapper.job import TOKEN_MARK
from contracts.models import ModelTurn
from contracts.states import AgentKind

_DROID = program_of(AgentKind.FACTORY_DROID, "droid")
_NAME = "orchestrator"
_MODEL = f"custom:{_NAME}-0"
_HEADLESS = [_DROID, "exec", "-o", "stream-json", "--auto", "high", "-m", _MODEL]
_MAX_OUTPUT = 32_000


def _configured(turn: ModelTurn) -> Configured:
    own = {
        "model": turn.model,
        "displayName": _NAME,
        "baseUrl": MODEL_URL,
        "apiKey": TOKEN_MARK,
        "provider": "anthropic",
        "maxOutputTokens": _MAX_OUTPUT,
    }
    settings = {"customModels": [own], "cloudSessionSync": False, "enableDroidShield": False}
    return Configured(
        # Its own service is not asked: the value only has to be there.
        environment={"FACTORY_API_KEY": "fk-not-used", "FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"},
        files={".factory/settings.json": json.dumps(settings)},
    )


FACTORY_DROID = AgentDefinition(
    kind=AgentKind.FACTORY_DROID,
    api="messages",
    runner="acp",
    model="claude-opus-5-5",
    ways={
        "acp": Way([_DROID, "exec", "-o", "acp"], options=[["model", _MODEL], ["autonomy_level", "auto-high"]]),
        "exec": Way(_HEADLESS, [*_HEADLESS, "-s", "{session}"], lines="droid"),
    },
    configured=_configured,
    quirks=(
        "Its one-shot mode waits about six seconds for its own service before it ends.",
        "Under ACP the arguments for model and autonomy are ignored: they are options of the session, in this order.",
        "It admits no use of tokens under ACP.",
    ),
)
