"""What every CLI agent has: a command line, an environment, and a stream that says what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from contracts.agent_logins import AgentLogin
from contracts.models import ModelTurn
from contracts.states import AgentKind

Runner = Literal["acp", "exec"]
"""How an agent is driven: by the Agent Client Protocol, or as a program that ends with its prompt."""

ModelApi = Literal["messages", "responses", "chat"]
"""The API of a model that an agent speaks."""


@dataclass
class AgentReport:
    """What the stream has said so far. `finished`: the agent's own result has been seen.

    `failure` is why a turn failed, as the wrapper says it; `stopped`: a person has ended the turn. `did_anything` is
    false for an agent that ended well and had neither said nor done anything.
    """

    session_id: str | None = None
    finished: bool = False
    is_error: bool = False
    text: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    session_unknown: bool = False
    failure: str | None = None
    stopped: bool = False
    did_anything: bool = True


class StreamReader(Protocol):
    """Reads one agent's output, line by line."""

    report: AgentReport

    def feed(self, line: bytes) -> list[str]:
        """Take one line; return what a person would like to see of it, each at most 600 characters."""


@dataclass(frozen=True)
class Told:
    """What an agent is told in one turn. `model` is its way to a model, None for an agent that has none.

    `login`: it uses a person's own log-in in place of the platform's proxy.
    """

    prompt: str
    session_id: str | None = None
    model: ModelTurn | None = None
    login: AgentLogin | None = None


@dataclass(frozen=True)
class Place:
    """Where the run `run` of an agent works, by the paths that the agent sees.

    `own_user`: it cannot write to directories of the platform. `privileged`: it runs as root.
    """

    run: str
    home: Path
    workspace: Path
    own_user: bool = True
    privileged: bool = False


@dataclass(frozen=True)
class AgentCall:
    """How one turn of an agent is started. `files` are put below its home before that; only it may read them.

    `secrets` are variables that no record of a container may show. `early`: it may start before its turn does, and
    waits by itself for what it is told (`wrapper/beginning/order.py`).
    """

    argv: list[str]
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    early: bool = False


class AgentCli(Protocol):
    """One program. `programs` are the files that the agent's user must be able to reach."""

    @property
    def kind(self) -> AgentKind: ...

    @property
    def programs(self) -> list[Path]: ...

    @property
    def takes_controls(self) -> bool:
        """Whether it looks for messages, and for the wish to end, in `control/` of its home while it works."""

    @property
    def needs_model(self) -> bool:
        """Whether a model drives it. Then it works in the image of its kind, and has a way to the model proxy."""

    def call(self, told: Told, place: Place) -> AgentCall: ...

    def reader(self) -> StreamReader: ...
