"""The table of agents: a row says how to call one, with its program on this machine and with the one in its image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.agents.base import AgentCli
from activities.adapters.agents.claude_code import CLAUDE_CODE
from activities.adapters.agents.codex import CODEX
from activities.adapters.agents.factory_droid import FACTORY_DROID
from activities.adapters.agents.opencode import OPENCODE
from activities.adapters.agents.scripted_cli import ScriptedAgent
from activities.adapters.agents.wrapped import AgentDefinition, WrappedAgent
from contracts.states import AgentKind
from runtime.settings import Settings

_PYTHON_IN_IMAGE = Path("/usr/bin/python3")


@dataclass(frozen=True)
class AgentRow:
    """One agent. `in_image` names programs by their paths in the image of its kind; `here` None: it works in containers
    only. `definition` says more of one that a model drives.
    """

    kind: AgentKind
    in_image: Callable[[], AgentCli]
    here: Callable[[Settings], AgentCli] | None = None
    definition: AgentDefinition | None = None


def _with_model(definition: AgentDefinition) -> AgentRow:
    return AgentRow(definition.kind, lambda: WrappedAgent(definition), definition=definition)


AGENTS = [
    AgentRow(
        kind=AgentKind.SCRIPTED,
        here=lambda settings: ScriptedAgent(run_log=settings.logs_dir / "scripted-agent.jsonl"),
        in_image=lambda: ScriptedAgent(Path("/opt/scripted_agent"), _PYTHON_IN_IMAGE),
    ),
    # A model key never enters the place where they work: they reach a model through the platform's proxy.
    *map(_with_model, (CLAUDE_CODE, CODEX, FACTORY_DROID, OPENCODE)),
]


def agents_here(settings: Settings) -> list[AgentCli]:
    """Those that work as processes of this machine."""
    return [row.here(settings) for row in AGENTS if row.here is not None]


def agents_in_images() -> list[AgentCli]:
    return [row.in_image() for row in AGENTS]
