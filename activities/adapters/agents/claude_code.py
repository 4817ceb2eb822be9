"""Claude Code."""

from activities.adapters.agents.wrapped import MODEL_URL, AgentDefinition, Configured, Way, program_of
from contracts.models import ModelTurn
from contracts.states import AgentKind

_CLAUDE = program_of(AgentKind.CLAUDE_CODE, "claude")
_HEADLESS = [_CLAUDE, "-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"]


def _configured(turn: ModelTurn) -> Configured:
    models = {"ANTHROPIC_MODEL": turn.model, "ANTHROPIC_DEFAULT_HAIKU_MODEL": turn.side_model}
    return Configured(
        environment={
            "ANTHROPIC_BASE_URL": MODEL_URL,
            "CLAUDE_CODE_EXECUTABLE": _CLAUDE,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION": "false",
            # The workflow waits and tries again, where people can see it; Claude Code would do so in silence.
            "CLAUDE_CODE_MAX_RETRIES": "0",
            **{name: model for name, model in models.items() if model is not None},
        },
        secrets={"ANTHROPIC_API_KEY": turn.token},
    )


CLAUDE_CODE = AgentDefinition(
    kind=AgentKind.CLAUDE_CODE,
    api="messages",
    runner="exec",
    ways={
        "exec": Way([*_HEADLESS, "--session-id", "{session}"], [*_HEADLESS, "--resume", "{session}"], "claude"),
        "acp": Way([program_of(AgentKind.CLAUDE_CODE, "claude-agent-acp")], mode="bypassPermissions"),
    },
    configured=_configured,
    quirks=(
        "It waits out a 429 by itself and tells nobody: it gets no retries.",
        "A refusal that is no 402 makes it try to repair its request, up to ten times.",
        "Under ACP it makes requests beside the work: a title, and suggestions unless they are switched off.",
    ),
)
