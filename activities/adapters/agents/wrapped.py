"""Agents with a model, driven by the worker wrapper in an image of their own: what differs between them is a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from activities.adapters.agents.base import AgentCall, ModelApi, Place, Runner, StreamReader, Told
from activities.adapters.agents.wrapper.job import TOKEN_VARIABLE, Job
from activities.adapters.agents.wrapper_lines import WrapperLines
from contracts.errors import ErrorCode, OrchestratorError
from contracts.models import ModelTurn
from contracts.states import AgentKind

MODEL_PORT = 8183
MODEL_URL = f"http://127.0.0.1:{MODEL_PORT}"
"""The model proxy, as an agent sees it; the wrapper leads it to the socket of the platform."""
MODEL_PLACE = "/model"
"""Where the directory with the proxy's socket is mounted."""
MODEL_SOCKET = f"{MODEL_PLACE}/proxy.sock"
WRAPPER = Path("/opt/agent_wrapper")
PYTHON = Path("/opt/acp/bin/python")
PROGRAMS = Path("/opt/agents")

OUTCOME_RULES = (
    "You work without a person at the keyboard, in a container of your own. Commit your work with git; do not push. "
    'When you have finished, run: orchestrator report --done "what you did" (or --failed "why not"). If one question '
    'stops you, run: orchestrator ask "the question" --choice "an answer" --choice "another answer", and end your turn.'
)
"""What stands before the first prompt of each turn."""


@dataclass(frozen=True)
class Way:
    """How a runner calls an agent: what the wrapper's job says of it. `{session}` stands for the session's id."""

    argv: list[str]
    resume_argv: list[str] = field(default_factory=list)
    lines: str = ""
    mode: str | None = None
    options: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Configured:
    """An agent's variables and configuration files for one turn; `{token}` in a file stands for the turn's token."""

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AgentDefinition:
    """A row: one agent, whoever makes it.

    `api` is the one that it speaks with a model, `model` the one that is used when nobody has chosen one (None: the
    agent's own choice). `runner` is how it is driven unless somebody wants it otherwise. `quirks` are for the
    documentation: what one has to know of it.
    """

    kind: AgentKind
    api: ModelApi
    runner: Runner
    ways: Mapping[Runner, Way]
    configured: Callable[[ModelTurn], Configured]
    model: str | None = None
    quirks: tuple[str, ...] = ()


def program_of(kind: AgentKind, name: str) -> str:
    """A program in the image of an agent."""
    return str(PROGRAMS / kind.value / "bin" / name)


@dataclass(frozen=True)
class WrappedAgent:
    """Implements `AgentCli` for an agent in its image. `runner` None: as its row says."""

    definition: AgentDefinition
    runner: Runner | None = None
    silence_s: float = 600.0
    takes_controls: bool = True
    needs_model: bool = True

    @property
    def kind(self) -> AgentKind:
        return self.definition.kind

    @property
    def programs(self) -> list[Path]:
        return [PYTHON, WRAPPER / "__main__.py"]

    def call(self, told: Told, place: Place) -> AgentCall:
        """Raises INVALID_INPUT without a model, and without a log-in in its place."""
        configured, token = self._configured(told)
        job = f".jobs/{place.run}.json"
        return AgentCall(
            # Without what only a protocol's SDK needs, which is found when it is imported: `wrapper/turn.py`.
            argv=[str(PYTHON), "-S", str(WRAPPER), str(place.home / job)],
            environment=configured.environment,
            secrets={**configured.secrets, **token},
            files={job: json.dumps(asdict(self._job(told, place, configured))).encode()},
            early=True,
        )

    def _configured(self, told: Told) -> tuple[Configured, dict[str, str]]:
        """The agent's configuration, and the variable with the token of its model if it has one."""
        if told.login is not None:
            return Configured(environment=told.login.environment), {}
        if told.model is None:
            raise OrchestratorError(
                ErrorCode.INVALID_INPUT, f"The agent {self.kind.value} needs a model, and this turn has none."
            )
        chosen = told.model.model_copy(update={"model": told.model.model or self.definition.model})
        return self.definition.configured(chosen), {TOKEN_VARIABLE: told.model.token}

    def reader(self) -> StreamReader:
        return WrapperLines()

    def _job(self, told: Told, place: Place, configured: Configured) -> Job:
        runner = self.runner or self.definition.runner
        way = self.definition.ways[runner]
        return Job(
            agent=self.kind.value,
            runner=runner,
            argv=way.argv,
            resume_argv=way.resume_argv,
            lines=way.lines,
            prompt=f"{OUTCOME_RULES}\n\n{told.prompt}",
            workspace=str(place.workspace),
            session_id=told.session_id,
            files=dict(configured.files),
            mode=way.mode,
            options=way.options,
            control=str(place.home / "control" / place.run),
            model_socket="" if told.login is not None else MODEL_SOCKET,
            model_port=MODEL_PORT,
            silence_s=self.silence_s,
        )
