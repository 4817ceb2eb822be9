"""What every CLI agent has: a command line, an environment, and a stream that says what it did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.states import AgentKind

OUTCOME_RULES = (
    "You work without a person at the keyboard. Commit your work with git; do not push. Before you finish, write "
    'one JSON object to the file named by the environment variable ORCHESTRATOR_OUTCOME: {"status": "done", '
    '"question" or "failed", "summary": what you did, "question": the one question that stops you, "choices": '
    'possible answers, "files": changed files}.'
)
"""Part of the instructions of an agent that takes some."""


@dataclass
class AgentReport:
    """What the stream has said so far. `finished`: the agent's own result has been seen."""

    session_id: str | None = None
    finished: bool = False
    is_error: bool = False
    text: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    session_unknown: bool = False


class StreamReader(Protocol):
    """Reads one agent's output, line by line."""

    report: AgentReport

    def feed(self, line: bytes) -> list[str]:
        """Take one line; return what a person would like to see of it, each at most 600 characters."""


class AgentCli(Protocol):
    """One program. `programs` are the files that the agent's user must be able to reach."""

    @property
    def kind(self) -> AgentKind: ...

    @property
    def programs(self) -> list[Path]: ...

    @property
    def takes_controls(self) -> bool:
        """Whether it looks for messages, and for the wish to end, in `control/` of its home while it works."""

    def argv(self, prompt: str, session_id: str | None, privileged: bool) -> list[str]:
        """The command line; `privileged` says that it will run as root."""

    def environment(self, home: Path, own_user: bool) -> dict[str, str]:
        """What this program needs; `own_user` says that it cannot write to directories of the platform."""

    def reader(self) -> StreamReader: ...
