"""The scripted agent, called as a real one is."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from activities.adapters.agents.base import AgentCall, Place, StreamReader, Told
from activities.adapters.agents.stream import StreamJson
from contracts.states import AgentKind

_PROGRAM = Path(__file__).with_name("scripted")
_PYTHON = Path(sys.executable)


@dataclass(frozen=True)
class ScriptedAgent:
    """The bundled script with the same interface.

    `run_log` counts its runs from outside; under a user of its own it is `scripted-agent.jsonl` in its home.
    """

    program: Path = _PROGRAM
    python: Path = _PYTHON
    run_log: Path | None = None
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    kind: AgentKind = AgentKind.SCRIPTED
    takes_controls: bool = False
    needs_model: bool = False

    @property
    def programs(self) -> list[Path]:
        return [self.python, self.program / "__main__.py"]

    def call(self, told: Told, place: Place) -> AgentCall:
        argv = self.argv(told.prompt, told.session_id, place.privileged)
        return AgentCall(argv, self.environment(place.home, place.own_user))

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        resume = ["--resume", session_id] if session_id else []
        # Like the real agent it refuses to skip permissions as root; it has none to skip.
        skip = [] if privileged else ["--dangerously-skip-permissions"]
        return [
            str(self.python), str(self.program), "-p", prompt, "--output-format", "stream-json", "--verbose",
            *skip, *resume,
        ]  # fmt: skip

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        run_log = home / "scripted-agent.jsonl" if own_user else self.run_log
        log = {"SCRIPTED_AGENT_RUN_LOG": str(run_log)} if run_log else {}
        return {**self.extra_environment, **log, "CLAUDE_CONFIG_DIR": str(home / ".claude")}

    def reader(self) -> StreamReader:
        return StreamJson()
