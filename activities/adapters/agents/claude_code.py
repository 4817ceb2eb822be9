"""Claude Code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from activities.adapters.agents.base import OUTCOME_RULES, StreamReader
from activities.adapters.agents.stream import StreamJson
from contracts.states import AgentKind


@dataclass(frozen=True)
class ClaudeCode:
    """`claude -p`. It refuses to skip permissions as root, and then says so in its output.

    `extra_environment` names the model endpoint (ANTHROPIC_BASE_URL and its token).
    """

    program: Path
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    kind: AgentKind = AgentKind.CLAUDE_CODE
    takes_controls: bool = False

    @property
    def programs(self) -> list[Path]:
        return [self.program]

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        resume = ["--resume", session_id] if session_id else []
        return [
            str(self.program), "-p", prompt, "--output-format", "stream-json", "--verbose",
            "--dangerously-skip-permissions", "--append-system-prompt", OUTCOME_RULES, *resume,
        ]  # fmt: skip

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        return {
            **self.extra_environment,
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def reader(self) -> StreamReader:
        return StreamJson()
