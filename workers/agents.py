"""The table of agents: a row says how to call one, with its program on this machine and with the one in the image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from activities.adapters.agents.base import AgentCli
from activities.adapters.agents.scripted_cli import ScriptedAgent
from runtime.settings import Settings

_PYTHON_IN_IMAGE = Path("/usr/bin/python3")


@dataclass(frozen=True)
class AgentRow:
    """One agent. `in_image` names programs by their paths in the worker image."""

    here: Callable[[Settings], AgentCli]
    in_image: Callable[[], AgentCli]


# Real agents come with the model proxy: a model key never enters the place where an agent works.
AGENTS = [
    AgentRow(
        here=lambda settings: ScriptedAgent(run_log=settings.logs_dir / "scripted-agent.jsonl"),
        in_image=lambda: ScriptedAgent(Path("/opt/scripted_agent"), _PYTHON_IN_IMAGE),
    ),
]
