"""Agents that a person can log in with an account of their own: what is run for that, and what it may reach.

From the vendors' documentation; nobody has run it against a vendor here.
"""

from dataclasses import dataclass
from typing import Final

from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import AgentKind

PLACE: Final = "/login"
"""Where the volume with the log-in is mounted, at the log-in and in a turn."""


@dataclass(frozen=True)
class AgentLogin:
    """`program` logs in at a terminal. `environment` has the agent keep everything of the log-in in the volume.

    `hosts` are the vendor's: all that a turn with this log-in may reach.
    """

    program: tuple[str, ...]
    environment: dict[str, str]
    hosts: tuple[str, ...]


LOGINS: Final[dict[AgentKind, AgentLogin]] = {
    AgentKind.CLAUDE_CODE: AgentLogin(
        ("claude",),
        {"CLAUDE_CONFIG_DIR": PLACE, "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": "0"},
        ("*.anthropic.com", "claude.ai", "*.claude.ai", "*.claude.com"),
    ),
    AgentKind.CODEX: AgentLogin(
        ("codex", "login", "--device-auth"),
        {"CODEX_HOME": PLACE},
        ("*.openai.com", "chatgpt.com", "*.chatgpt.com"),
    ),
}


def login_of(agent: AgentKind) -> AgentLogin:
    """Raises INVALID_INPUT for an agent that keeps no log-in of its own in one place."""
    if agent not in LOGINS:
        known = ", ".join(kind.value for kind in LOGINS)
        raise OrchestratorError(
            ErrorCode.INVALID_INPUT, f"{agent.value} cannot use a log-in of your own here. These can: {known}."
        )
    return LOGINS[agent]
